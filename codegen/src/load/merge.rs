// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One file's table with another's: by key, lists of named tables by `name`.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// A TOML value, with its place.
pub type Node<'t> = Spanned<DeValue<'t>>;

/// Removes what a path like "gic.its" or "device.nvme0.msix" names, if it is there.
pub fn remove(table: &mut DeTable<'_>, path: &str) -> bool {
    let Some((key, rest)) = first(path, table.keys().map(|key| key.get_ref().as_ref())) else {
        return false;
    };
    let Some(rest) = rest else { return table.remove(key.as_str()).is_some() };
    match table.get_mut(key.as_str()).map(Spanned::get_mut) {
        Some(DeValue::Table(inner)) => remove(inner, rest),
        Some(DeValue::Array(items)) => {
            let Some((wanted, rest)) = first(rest, items.iter().filter_map(name)) else {
                return false;
            };
            let Some(at) = items.iter().position(|item| name(item) == Some(&wanted)) else {
                return false;
            };
            match (rest, items.get_mut(at).map(Spanned::get_mut)) {
                (None, _) => {
                    let all = std::mem::replace(items, DeArray::new()).into_iter().enumerate();
                    *items = all.filter(|(n, _)| *n != at).map(|(_, item)| item).collect();
                    true
                }
                (Some(rest), Some(DeValue::Table(inner))) => remove(inner, rest),
                _ => false,
            }
        }
        _ => false,
    }
}

/// The longest of `names` that `path` begins with, and what follows it. Names may have dots.
fn first<'p, 'n>(
    path: &'p str,
    names: impl Iterator<Item = &'n str>,
) -> Option<(String, Option<&'p str>)> {
    let found = names.filter_map(|name| match path.strip_prefix(name)? {
        "" => Some((name.to_owned(), None)),
        rest => Some((name.to_owned(), Some(rest.strip_prefix('.')?))),
    });
    found.max_by_key(|(name, _)| name.len())
}

/// The name of an entry of a list.
pub fn name<'a>(item: &'a Spanned<DeValue<'_>>) -> Option<&'a str> {
    item.get_ref().as_table()?.get("name")?.get_ref().as_str()
}

/// `parent` with what `own` says instead, in `own`'s place.
pub fn merge<'t>(parent: Node<'t>, own: Node<'t>) -> Node<'t> {
    let span = own.span();
    let merged = match (parent.into_inner(), own.into_inner()) {
        (DeValue::Table(mut parent), DeValue::Table(own)) => {
            for (key, value) in own {
                let value = match parent.remove(key.get_ref().as_ref()) {
                    Some(inherited) => merge(inherited, value),
                    None => value,
                };
                parent.insert(key, value);
            }
            DeValue::Table(parent)
        }
        (DeValue::Array(parent), DeValue::Array(own))
            if !own.is_empty() && parent.iter().any(|item| name(item).is_some()) =>
        {
            DeValue::Array(merge_lists(parent, own))
        }
        (_, own) => own,
    };
    Spanned::new(span, merged)
}

/// Each of `own`'s entries merged with the parent's of that name; the others follow. Of two with
/// one name the second follows, too: that they are two is told by the rules.
fn merge_lists<'t>(parent: DeArray<'t>, own: DeArray<'t>) -> DeArray<'t> {
    let mut merged: Vec<(Node<'t>, bool)> = parent.into_iter().map(|item| (item, false)).collect();
    for item in own {
        let with = |(inherited, done): &(Node<'t>, bool)| {
            !done && name(inherited).is_some() && name(inherited) == name(&item)
        };
        match merged.iter().position(with) {
            Some(at) => {
                let (inherited, _) = merged.remove(at);
                merged.insert(at, (merge(inherited, item), true));
            }
            None => merged.push((item, true)),
        }
    }
    merged.into_iter().map(|(item, _)| item).collect()
}

/// Moves every place in `node` by `offset` bytes.
pub fn shift(node: &mut Node<'_>, offset: usize) {
    let span = moved(node.span(), offset);
    let mut value =
        std::mem::replace(node, Spanned::new(0..0, DeValue::Boolean(false))).into_inner();
    match &mut value {
        DeValue::Table(table) => {
            for (key, mut inner) in std::mem::take(table) {
                shift(&mut inner, offset);
                let span = moved(key.span(), offset);
                table.insert(Spanned::new(span, key.into_inner()), inner);
            }
        }
        DeValue::Array(items) => items.iter_mut().for_each(|item| shift(item, offset)),
        _ => {}
    }
    *node = Spanned::new(span, value);
}

fn moved(span: Range<usize>, offset: usize) -> Range<usize> {
    span.start + offset..span.end + offset
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node<'_> {
        let table = DeTable::parse(text).unwrap();
        Spanned::new(table.span(), DeValue::Table(table.into_inner()))
    }

    /// As a value without places.
    fn plain(node: Node<'_>) -> toml::Table {
        serde::Deserialize::deserialize(toml::de::ValueDeserializer::from(node)).unwrap()
    }

    fn merged(parent: &str, own: &str) -> toml::Table {
        plain(merge(node(parent), node(own)))
    }

    fn removed(text: &str, path: &str) -> Option<toml::Table> {
        let mut node = node(text);
        let DeValue::Table(table) = node.get_mut() else { return None };
        remove(table, path).then(|| plain(node))
    }

    fn table(text: &str) -> toml::Table {
        text.parse().unwrap()
    }

    #[test]
    fn tables_merge_by_key() {
        assert_eq!(
            merged("a = 1\n[t]\nx = 1\ny = [1, 2]\n", "b = 2\n[t]\ny = [3]\n"),
            table("a = 1\nb = 2\n[t]\nx = 1\ny = [3]\n")
        );
    }

    #[test]
    fn lists_of_named_tables_merge_by_name_in_the_parents_order() {
        let parent = "d = [{ name = \"a\", x = 1 }, { name = \"b\", x = 2 }]";
        let own = "d = [{ name = \"c\" }, { name = \"a\", y = 3 }]";
        let all = "d = [{ name = \"a\", x = 1, y = 3 }, { name = \"b\", x = 2 }, { name = \"c\" }]";
        assert_eq!(merged(parent, own), table(all));
        assert_eq!(merged(parent, "d = []"), table("d = []"));
        // Other lists are values.
        assert_eq!(merged("d = [{ x = 1 }]", "d = [{ y = 2 }]"), table("d = [{ y = 2 }]"));
    }

    #[test]
    fn a_name_given_twice_stays_twice() {
        let own = "d = [{ name = \"a\", x = 1 }, { name = \"a\", x = 2 }]";
        assert_eq!(merged("d = [{ name = \"a\" }]", own), table(own));
    }

    #[test]
    fn what_is_named_is_removed() {
        let text = "p = 1\n[g]\ni = 2\n[[d]]\nname = \"a.b\"\nx.y = 1\n[[d]]\nname = \"a\"\n";
        let left = |path: &str| removed(text, path).map(|table| table.to_string());
        assert_eq!(removed(text, "p").map(|left| left.contains_key("p")), Some(false));
        assert_eq!(removed(text, "g.i").unwrap()["g"], table("").into());
        assert_eq!(removed(text, "d.a.b").unwrap()["d"].as_array().unwrap().len(), 1);
        assert!(left("d.a.b.x.y").unwrap().contains("a.b"));
        for nothing in ["q", "g.j", "d.c", "p.x", "d.a.x", "d.", "", "g..i"] {
            assert_eq!(left(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn every_place_moves() {
        let mut all = node("[t]\nx = [{ y = 7 }]\n");
        shift(&mut all, 100);
        let y = &all.get_ref()["t"].get_ref()["x"].get_ref()[0].get_ref()["y"];
        assert_eq!(y.span(), 115..116);
    }
}
