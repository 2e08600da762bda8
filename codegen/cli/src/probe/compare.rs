// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A board's TOML beside what was measured.
//!
//! Every key of the measured TOML is looked for in the board with all that it inherits. What
//! differs is changed in the board's own file, where it overrides what it inherits. What `import`
//! marked UNKNOWN there is not any more.

use std::collections::BTreeMap;

use codegen::model::{Board, quirk};
use codegen::units::Size;
use toml_edit::{
    ArrayOfTables, DocumentMut, InlineTable, Item, RawString, Table, TableLike, Value,
};

use super::Measured;
use crate::learn::Change;
use crate::learn::edit::{set, text};

/// Lists of tables, whose entries have names.
const LISTS: [&str; 4] = ["cpu", "smmu", "device", "bridge"];
/// The board may say less than there is: the plan uses no more.
const AT_MOST: [&str; 3] = ["board.address_bits", "gic.list_registers", "smmu.*.address_bits"];
/// The board may say more: the plan leaves room.
const AT_LEAST: [&str; 2] = ["gic.its.table_entry_size", "gic.its.table_page"];

/// How `import` begins a comment above a value that it guessed, and what is there instead.
const UNKNOWN: &str = "# UNKNOWN";
const MEASURED: &str = "# Measured by the probe.\n";

/// How they differ.
pub struct Comparison {
    /// Of the board's file; None: every key agrees, and none is marked.
    pub change: Option<Change>,
    /// A key does not agree.
    pub differs: bool,
    /// What has no key to write.
    pub left: Vec<String>,
    /// Keys that were compared.
    pub compared: usize,
}

/// A key and the value that was measured.
struct Edit {
    path: Vec<String>,
    value: Value,
    agrees: bool,
}

/// Values without their form: "64 KiB" is 65536.
#[derive(Clone, Debug, PartialEq)]
enum Plain {
    Number(i64),
    Truth(bool),
    Text(String),
    List(Vec<Plain>),
    Table(BTreeMap<String, Plain>),
}

/// Compares the board, whose file reads `file` and with all that it inherits `whole`.
pub fn compare(
    board: &Board,
    (file, whole): (&str, &str),
    measured: &Measured,
) -> Result<Comparison, String> {
    let parsed = |text: &str| text.parse::<DocumentMut>().map_err(|error| error.to_string());
    let (mut own, given, found) = (parsed(file)?, parsed(whole)?, parsed(&measured.text)?);
    // CPUs' redistributors lie one stride apart, whatever the board's file says that it is.
    let mut real = board.clone();
    let stride =
        found.get("gic").and_then(|gic| of_item(gic.get("redistributors")?.get("stride")?));
    if let Some(Plain::Number(stride)) = stride {
        real.gic.redistributors.stride.value = stride as u64;
    }
    let mut walk = Walk { board: &real, edits: Vec::new() };
    walk.table(&[], found.as_table(), Some(given.as_table()));
    let wrong_first = measured.wrong.iter().any(|line| line.contains(" booted: "));
    for edit in &walk.edits {
        let marked = unmark(own.as_table_mut(), &edit.path, wrong_first);
        if !edit.agrees || marked.is_some_and(|given| given != of_value(&edit.value)) {
            put(own.as_table_mut(), edit);
        }
    }
    let new = own.to_string();
    let change =
        (new != file).then(|| Change { path: board.path.clone(), old: file.to_owned(), new });
    let left = measured.wrong.iter().cloned().chain(quirks(board, measured)).collect();
    let differs = walk.edits.iter().any(|edit| !edit.agrees);
    Ok(Comparison { change, differs, left, compared: walk.edits.len() })
}

struct Walk<'a> {
    board: &'a Board,
    edits: Vec<Edit>,
}

impl Walk<'_> {
    fn table(&mut self, path: &[String], found: &dyn TableLike, given: Option<&dyn TableLike>) {
        for (key, item) in found.iter() {
            if path.is_empty() && key == "inherit" || path.len() == 2 && key == "name" {
                continue;
            }
            let mut path = path.to_vec();
            path.push(key.to_owned());
            let there = given.and_then(|given| given.get(key));
            match item {
                Item::ArrayOfTables(list) => self.list(&path, list, there),
                Item::Value(value) if key == "msix" || !value.is_inline_table() => {
                    self.value(path, value, there);
                }
                _ => {
                    let Some(table) = item.as_table_like() else { continue };
                    self.table(&path, table, there.and_then(Item::as_table_like));
                }
            }
        }
    }

    fn list(&mut self, path: &[String], list: &ArrayOfTables, there: Option<&Item>) {
        for entry in list {
            let Some(name) = text(entry, "name") else { continue };
            let given = there.and_then(Item::as_array_of_tables);
            let mut given = given.into_iter().flatten();
            let given = given.find(|given| text(*given, "name") == Some(name));
            let path = [path, &[name.to_owned()]].concat();
            self.table(&path, entry, given.map(|given| given as &dyn TableLike));
        }
    }

    fn value(&mut self, path: Vec<String>, value: &Value, there: Option<&Item>) {
        let given = there.and_then(of_item).or_else(|| usual(self.board, &path));
        let agrees = given.is_some_and(|given| agrees(&path, &of_value(value), &given));
        self.edits.push(Edit { path, value: value.clone(), agrees });
    }
}

fn agrees(path: &[String], found: &Plain, given: &Plain) -> bool {
    let mut pattern = path.to_vec();
    if let [list, name, _] = pattern.as_mut_slice()
        && LISTS.contains(&list.as_str())
    {
        *name = "*".into();
    }
    let pattern = pattern.join(".");
    match (found, given) {
        (Plain::Number(found), Plain::Number(given)) => {
            found == given
                || AT_MOST.contains(&pattern.as_str()) && given < found
                || AT_LEAST.contains(&pattern.as_str()) && given > found
        }
        _ => found == given,
    }
}

fn of_item(item: &Item) -> Option<Plain> {
    match item {
        Item::Value(value) => Some(of_value(value)),
        // A table that is written by dotted keys.
        Item::Table(table) => Some(Plain::Table(entries(table))),
        Item::ArrayOfTables(list) => {
            Some(Plain::List(list.iter().map(|table| Plain::Table(entries(table))).collect()))
        }
        Item::None => None,
    }
}

fn of_value(value: &Value) -> Plain {
    match value {
        Value::Integer(number) => Plain::Number(*number.value()),
        Value::Boolean(truth) => Plain::Truth(*truth.value()),
        Value::Array(items) => Plain::List(items.iter().map(of_value).collect()),
        Value::InlineTable(table) => Plain::Table(entries(table)),
        _ => {
            let text = value.as_str().unwrap_or_default();
            match text.parse::<Size>() {
                Ok(size) => Plain::Number(size.0 as i64),
                Err(_) => Plain::Text(text.to_owned()),
            }
        }
    }
}

/// `wide = false` is as if it were not there.
fn entries(table: &dyn TableLike) -> BTreeMap<String, Plain> {
    let entries = table.iter().filter_map(|(key, item)| Some((key.to_owned(), of_item(item)?)));
    entries.filter(|(_, value)| *value != Plain::Truth(false)).collect()
}

/// What the board has where its TOML says nothing.
fn usual(board: &Board, path: &[String]) -> Option<Plain> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let number = |value: u64| Some(Plain::Number(value as i64));
    match path.as_slice() {
        ["board", "address_bits"] => number(board.address_bits.value.into()),
        ["cpu", name, key] => {
            let place = board.cpus.iter().position(|cpu| cpu.name.value == *name)?;
            match *key {
                "processor" => number(board.cpus.get(place)?.processor.value.into()),
                "redistributor" => number(board.gic.redistributors.place(place)),
                _ => None,
            }
        }
        ["gic", "its", "table_page"] => number(board.gic.its.as_ref()?.table_page.value),
        ["gic", "its", "shared_vpe_table"] => Some(Plain::Truth(true)),
        ["smmu", name, key] => {
            let smmu = board.smmus.iter().find(|smmu| smmu.name.value == *name)?;
            match *key {
                "coherent" => Some(Plain::Truth(smmu.coherent)),
                "two_level" => Some(Plain::Truth(smmu.two_level)),
                "address_bits" => number(smmu.address_bits.value.into()),
                _ => None,
            }
        }
        [_, _, "bars"] => Some(Plain::List(Vec::new())),
        _ => None,
    }
}

/// Writes the value where the file has its key, or where it would have it.
fn put(root: &mut dyn TableLike, edit: &Edit) {
    let path: Vec<&str> = edit.path.iter().map(String::as_str).collect();
    let mut value = edit.value.clone();
    value.decor_mut().clear();
    match path.as_slice() {
        [list, name, key] if LISTS.contains(list) => {
            if let Some(entry) = named(root, list, name) {
                set(entry, key, value);
            }
        }
        [tables @ .., key] => {
            let mut at = root;
            for table in tables {
                let Some(inner) = inner(at, table) else { return };
                at = inner;
            }
            set(at, key, value);
        }
        [] => {}
    }
}

/// Takes the mark off a key that the file has; what it has there. None: it had no mark.
fn unmark(root: &mut dyn TableLike, path: &[String], wrong_first: bool) -> Option<Plain> {
    let (key, tables) = path.split_last()?;
    let table: &mut dyn TableLike = match tables {
        [list, name] if LISTS.contains(&list.as_str()) => {
            let list = root.get_mut(list)?.as_array_of_tables_mut()?;
            let entry = list.iter_mut().find(|entry| text(*entry, "name") == Some(name))?;
            // Above [[cpu]]: which one boots.
            if let Some(clean) = unmarked(entry.decor().prefix()).filter(|_| !wrong_first) {
                entry.decor_mut().set_prefix(clean);
            }
            entry
        }
        _ => {
            let mut at = root;
            for table in tables {
                at = at.get_mut(table)?.as_table_like_mut()?;
            }
            at
        }
    };
    let given = of_item(table.get(key)?)?;
    let mut key = table.key_mut(key)?;
    let clean = unmarked(key.leaf_decor().prefix())?;
    key.leaf_decor_mut().set_prefix(clean);
    Some(given)
}

/// What stands above a key or a table, with another comment in the mark's place.
fn unmarked(above: Option<&RawString>) -> Option<String> {
    let above = above?.as_str()?;
    let mark = above.find(UNKNOWN)?;
    Some(format!("{}{MEASURED}", &above[..mark]))
}

/// The entry of that name, which is made if there is none.
fn named<'t>(root: &'t mut dyn TableLike, list: &str, name: &str) -> Option<&'t mut dyn TableLike> {
    let tables = root.entry(list).or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let tables = tables.as_array_of_tables_mut()?;
    let place = tables.iter().position(|table| text(table, "name") == Some(name));
    let place = place.unwrap_or_else(|| {
        let mut table = Table::new();
        table.decor_mut().set_prefix("\n");
        set(&mut table, "name", name.into());
        tables.push(table);
        tables.len() - 1
    });
    Some(tables.get_mut(place)?)
}

/// The table of that name, likewise.
fn inner<'t>(table: &'t mut dyn TableLike, name: &str) -> Option<&'t mut dyn TableLike> {
    let new = match name {
        "redistributors" => Item::Value(Value::InlineTable(InlineTable::new())),
        _ => {
            let mut table = Table::new();
            table.decor_mut().set_prefix("\n");
            Item::Table(table)
        }
    };
    table.entry(name).or_insert(new).as_table_like_mut()
}

/// Quirks that the GIC's identification says and the board does not, or the other way round.
fn quirks(board: &Board, measured: &Measured) -> Vec<String> {
    let mut left = Vec::new();
    for quirk in quirk::ALL {
        let register = if quirk.its { "GITS_IIDR" } else { "GICD_IIDR" };
        let Some(&found) = measured.registers.get(register) else { continue };
        let is = quirk.iidr.iter().any(|of| found & of.mask.0 == of.value.0);
        let (name, listed) = (quirk.name, board.gic.has(quirk));
        if quirk.always && is && !listed {
            left.push(format!("{register} is {found:#x}: gic.quirks lacks \"{name}\""));
        } else if listed && !is {
            left.push(format!("{register} is {found:#x}: gic.quirks has \"{name}\""));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// The GICv3 board, which inherits nearly all, beside a measured text.
    fn compared(measured: &str) -> (String, Vec<String>, usize) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let path = root.join("boards/qemu-virt-gicv3.toml");
        let board = codegen::load_board(&path).unwrap();
        let file = std::fs::read_to_string(&path).unwrap();
        let whole = codegen::show_board(&path).unwrap();
        let registers = [("GITS_IIDR".to_owned(), 0x0005_1736)].into();
        let measured = Measured { text: measured.into(), wrong: vec!["a gap".into()], registers };
        let compared = compare(&board, (&file, &whole), &measured).unwrap();
        let new = compared.change.map_or(file.clone(), |change| change.new);
        let added: Vec<&str> =
            new.lines().filter(|line| !file.lines().any(|l| l == *line)).collect();
        (added.join("\n"), compared.left, compared.compared)
    }

    #[test]
    fn what_agrees_stays() {
        let same = "inherit = \"x\"\n[board]\naddress_bits = 48\n[[cpu]]\nname = \"cpu1\"\nmpidr = 1\n\
                    processor = 1\nredistributor = 0x80c0000\n[gic]\nlist_registers = 16\n\
                    redistributors = { stride = \"128 KiB\" }\n[gic.its]\ntable_entry_size = 4\n\
                    [[device]]\nname = \"nvme0\"\n\
                    bars = [{ index = 0, size = \"16384 B\", wide = true, prefetchable = false }]\n";
        let (added, left, count) = compared(same);
        assert_eq!((added.as_str(), count), ("", 8));
        let quirk = "GITS_IIDR is 0x51736: gic.quirks lacks \"hisilicon-162100801\"";
        assert_eq!(left, ["a gap", quirk]);
    }

    #[test]
    fn a_mark_is_taken_off() {
        let text = "# one\n\n# UNKNOWN first\n[[cpu]]\nname = \"a\"\n\n[gic.its]\n# two\n\
                    # UNKNOWN [gic.its] table_entry_size: at\n# most this\ntable_entry_size = 32 # three\n";
        let mut document: DocumentMut = text.parse().unwrap();
        let mut unmark = |path: &[&str], wrong_first| {
            let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
            let given = unmark(document.as_table_mut(), &path, wrong_first);
            (given, document.to_string())
        };
        assert_eq!(unmark(&["gic", "its", "spis"], false), (None, text.into()));
        assert_eq!(unmark(&["cpu", "a", "name"], true), (None, text.into()));
        let clean = text.replace("# UNKNOWN first", "# Measured by the probe.");
        assert_eq!(unmark(&["cpu", "a", "name"], false), (None, clean.clone()));
        let mark = "# UNKNOWN [gic.its] table_entry_size: at\n# most this\n";
        let clean = clean.replace(mark, MEASURED);
        let given = Some(Plain::Number(32));
        assert_eq!(unmark(&["gic", "its", "table_entry_size"], false), (given, clean));
    }

    #[test]
    fn what_differs_is_written_where_an_heir_says_it() {
        let other = "[board]\naddress_bits = 36\n[[cpu]]\nname = \"cpu1\"\nmpidr = 0x100\n\
                     [gic]\nlist_registers = 3\nredistributors = { stride = \"256 KiB\" }\n\
                     [gic.its]\ntable_entry_size = 16\n[pmu]\nintid = 22\n";
        let (added, _, count) = compared(other);
        assert_eq!(count, 6);
        for line in [
            "address_bits = 36",
            "[[cpu]]\nname = \"cpu1\"\nmpidr = 0x100",
            "list_registers = 3",
            "redistributors = { base = 0x080a_0000, stride = \"256 KiB\" }",
            "[gic.its]\ntable_entry_size = 16",
            "[pmu]\nintid = 22",
        ] {
            assert!(added.contains(line), "{line}\n{added}");
        }
    }
}
