// SPDX-License-Identifier: Apache-2.0 OR MIT
//! plan.html: whole, on its own, and true to the plan.

use std::collections::BTreeSet;

use codegen::emit::changes::Changes;
use codegen::emit::page::{self, Around, Input};
use codegen::emit::report;
use codegen::plan::Plan;
use html5gum::{Token, Tokenizer};
use serde_json::Value;

use crate::stand_in;

/// Elements that have no end.
const VOID: [&str; 3] = ["meta", "br", "img"];

/// A page, taken apart.
#[derive(Default)]
struct Page {
    /// Names of elements.
    elements: BTreeSet<String>,
    /// Names and values of attributes.
    attributes: Vec<(String, String)>,
    /// Cells of each row of each table.
    rows: Vec<Vec<String>>,
    /// All text, an element's end being a space.
    text: String,
    style: String,
}

impl Page {
    /// Panics where it is no HTML.
    fn read(html: &str) -> Self {
        let mut page = Self::default();
        let mut open: Vec<String> = Vec::new();
        for token in Tokenizer::new(html) {
            match token.expect("a string can be read") {
                Token::StartTag(tag) => {
                    let name = String::from_utf8(tag.name.0).unwrap();
                    let pairs = tag.attributes.into_iter().map(|(name, value)| {
                        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
                        (text(name.0), text(value.0.clone()))
                    });
                    page.attributes.extend(pairs);
                    match name.as_str() {
                        "tr" => page.rows.push(Vec::new()),
                        "td" | "th" => page.rows.last_mut().unwrap().push(String::new()),
                        _ => {}
                    }
                    page.elements.insert(name.clone());
                    if !tag.self_closing && !VOID.contains(&name.as_str()) {
                        open.push(name);
                    }
                }
                Token::EndTag(tag) => {
                    let name = String::from_utf8(tag.name.0).unwrap();
                    assert_eq!(open.pop().as_ref(), Some(&name), "elements are closed in order");
                    page.text.push(' ');
                }
                Token::String(text) => {
                    let text = String::from_utf8(text.0.clone()).unwrap();
                    if open.iter().any(|name| name == "style") {
                        page.style += &text;
                        continue;
                    }
                    page.text += &text;
                    let in_cell = open.iter().any(|name| name == "td" || name == "th");
                    if let Some(cell) = page.rows.last_mut().and_then(|row| row.last_mut())
                        && in_cell
                    {
                        *cell += &text;
                    }
                }
                Token::Error(error) => panic!("{error:?}"),
                Token::Comment(_) | Token::Doctype(_) => {}
            }
        }
        assert!(open.is_empty(), "not closed: {open:?}");
        page
    }

    fn of(plan: &Plan) -> Self {
        Self::read(&page::html(plan, &Around::default()))
    }

    fn values(&self, attribute: &str) -> impl Iterator<Item = &str> {
        self.attributes.iter().filter(move |(name, _)| name == attribute).map(|(_, v)| v.as_str())
    }

    /// Some row of a table has all of these as cells.
    fn has_row(&self, cells: &[String]) {
        let has = |row: &Vec<String>| cells.iter().all(|cell| row.iter().any(|has| has == cell));
        assert!(self.rows.iter().any(has), "no row with {cells:?}");
    }

    fn has_text(&self, text: &str) {
        assert!(self.text.contains(text), "no {text:?}");
    }
}

fn systems() -> [Plan; 6] {
    [
        stand_in::of("demo"),
        stand_in::of("shared"),
        stand_in::at(stand_in::MODES),
        stand_in::at(stand_in::HOSTS),
        stand_in::at("tests/plans/systems/smmus.toml"),
        stand_in::at("tests/plans/systems/trusted.toml"),
    ]
}

/// Links lead somewhere; each id is one element's; every picture has a name.
#[test]
fn a_page_is_whole() {
    for plan in systems() {
        let page = Page::of(&plan);
        let ids: Vec<&str> = page.values("id").collect();
        let distinct: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), distinct.len(), "an id twice: {ids:?}");
        let links: Vec<&str> = page.values("href").chain(page.values("aria-labelledby")).collect();
        assert!(links.len() > 12, "{links:?}");
        for link in links {
            assert!(distinct.contains(link.trim_start_matches('#')), "{link} leads nowhere");
        }
        let pictures = page.values("role").filter(|role| *role == "img").count();
        assert!(pictures >= plan.cpus.len());
        assert!(page.values("aria-label").all(|name| !name.trim().is_empty()));
    }
}

#[test]
fn a_page_needs_nothing_but_itself() {
    for plan in systems() {
        let page = Page::of(&plan);
        for element in ["script", "link", "img", "iframe", "object", "embed", "base", "form"] {
            assert!(!page.elements.contains(element), "{element}");
        }
        assert!(page.values("href").all(|link| link.starts_with('#')));
        let others = ["src", "srcset", "action", "data", "xlink:href", "onclick", "onload"];
        assert!(page.attributes.iter().all(|(name, _)| !others.contains(&name.as_str())));
        let outside = ["url(", "@import", "http:", "https:", "//"];
        assert!(outside.iter().all(|text| !page.style.contains(text)), "{}", page.style);
        let policy = page.values("content").find(|text| text.starts_with("default-src"));
        assert_eq!(policy, Some("default-src 'none'; style-src 'unsafe-inline'"));
    }
}

fn number(value: &Value) -> String {
    value.as_u64().expect("a number").to_string()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What plan.json has is on the page: it is the same value.
#[test]
fn a_page_has_what_the_plan_has() {
    let range = |base: &Value, bytes: &Value| {
        let base = u64::from_str_radix(&base.as_str().unwrap()[2..], 16).unwrap();
        format!("{base:#012x}..{:#012x}", base + bytes.as_u64().unwrap())
    };
    let mut seen = [0; 6];
    for plan in systems() {
        let page = Page::of(&plan);
        let json: Value = serde_json::from_str(&report::json(&plan)).unwrap();
        let vpe = |index: &Value| {
            let vpe = &json["vpes"][index.as_u64().unwrap() as usize];
            let vm = &json["vms"][vpe["vm"].as_u64().unwrap() as usize]["name"];
            format!("{}/{}", vm.as_str().unwrap(), vpe["number"])
        };
        for vm in list(&json["vms"]) {
            page.has_text(&format!(
                "Memory and loads of {} as tables",
                vm["name"].as_str().unwrap()
            ));
            for piece in list(&vm["memory"]) {
                page.has_text(&range(&piece["ipa"], &piece["bytes"]));
                seen[0] += 1;
            }
            for region in list(&vm["mmio"]) {
                let inner = ["pci-config", "msix-table"];
                if !inner.contains(&region["kind"].as_str().unwrap()) {
                    page.has_text(&range(&region["base"], &region["bytes"]));
                }
            }
        }
        for area in list(&json["memory_map"]) {
            let text = |key: &str| area[key].as_str().unwrap().to_owned();
            page.has_row(&[range(&area["base"], &area["bytes"]), text("owner"), text("what")]);
            seen[1] += 1;
        }
        for event in json["events"].as_array().unwrap_or(&Vec::new()) {
            let numbers = ["device", "event", "vintid"].map(|key| number(&event[key]));
            page.has_row(&[&numbers[..], &[vpe(&event["vpe"])]].concat());
            page.has_text(&format!("MSI: DeviceID {}, EventID {}", numbers[0], numbers[1]));
            seen[2] += 1;
        }
        for (n, spi) in list(&json["spis"]).iter().enumerate().filter(|(_, spi)| !spi.is_null()) {
            page.has_row(&[(n + 32).to_string(), spi["source"].as_str().unwrap().into()]);
            page.has_text(&format!("SPI {}", n + 32));
            seen[3] += 1;
        }
        for command in list(&json["its"]["script"]) {
            page.has_row(&[command["text"].as_str().unwrap().into()]);
            seen[4] += 1;
        }
        for mode in list(&json["modes"]["modes"]) {
            page.has_text(&format!("Mode {}", mode["name"].as_str().unwrap()));
            seen[5] += 1;
        }
        for cpu in list(&json["cpus"]) {
            page.has_text(&format!("{}: ", cpu["name"].as_str().unwrap()));
        }
    }
    assert!(seen.iter().all(|&count| count > 0), "nothing to compare: {seen:?}");
}

/// A name is text, whatever is in it. Rules allow no such name; descriptions are free.
#[test]
fn a_hostile_name_is_text() {
    const HOSTILE: &str = "</style></title><script>alert(1)</script><img src=x onerror='a'>\"&amp;";
    let mut plan = stand_in::of("demo");
    plan.description = HOSTILE.into();
    plan.vms[0].name = HOSTILE.into();
    plan.memory_map[0].what = HOSTILE.into();
    plan.cpus[0].name = HOSTILE.into();
    let inputs = [Input { name: HOSTILE.into(), bytes: 1, digest: "00".into() }];
    let page = Page::read(&page::html(
        &plan,
        &Around { warnings: HOSTILE, inputs: &inputs, changes: None },
    ));
    assert!(!page.elements.contains("script") && !page.elements.contains("img"));
    assert!(page.attributes.iter().all(|(name, _)| name != "onerror" && name != "src"));
    assert!(page.text.matches(HOSTILE).count() >= 6);
}

/// A VM before all others moves every index, and changes nothing of theirs.
#[test]
fn indices_are_compared_by_name() {
    let plan = stand_in::of("demo");
    let mut old: Value = serde_json::from_str(&report::json(&plan)).unwrap();
    assert_eq!(old["vms"][0]["name"], "control");
    // The same system, with its first two VMs, and their vPEs, the other way round.
    for list in ["vms", "vpes"] {
        old[list].as_array_mut().unwrap().swap(0, 1);
    }
    let swap = |index: &mut Value| {
        if let Some(n @ 0..=1) = index.as_u64() {
            *index = (1 - n).into();
        }
    };
    for list in ["masters", "functions", "vpes", "channel_ends"] {
        old[list].as_array_mut().unwrap().iter_mut().for_each(|one| swap(&mut one["vm"]));
    }
    old["events"].as_array_mut().unwrap().iter_mut().for_each(|e| swap(&mut e["vpe"]));
    old["cpus"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .for_each(|cpu| swap(&mut cpu["schedule"]["vpe"]));
    swap(&mut old["focus"]);
    let changes = Changes::new(&old.to_string(), &plan).unwrap();
    assert_eq!(changes.count(), 0, "{}", changes.text());
}

#[test]
fn an_spi_is_named_by_its_intid() {
    let plan = stand_in::at("tests/plans/systems/smmus.toml");
    let mut old: Value = serde_json::from_str(&report::json(&plan)).unwrap();
    let n = list(&old["spis"]).iter().position(|spi| !spi.is_null()).expect("it has one");
    old["spis"][n] = Value::Null;
    let changes = Changes::new(&old.to_string(), &plan).unwrap();
    let [part] = changes.parts.as_slice() else { panic!("{}", changes.text()) };
    assert_eq!((part.name.as_str(), part.changes.len()), ("spis", 1));
    assert_eq!(part.changes[0].path, (n + 32).to_string());
    assert!(part.changes[0].old.is_none());
}

#[test]
fn changes_are_on_the_page() {
    let plan = stand_in::of("demo");
    let old = report::json(&plan).replace("\"control\"", "\"<b>steering\"");
    let changes = Changes::new(&old, &plan).unwrap();
    let part = changes.parts.iter().find(|part| part.name == "vms").unwrap();
    let found: Vec<_> = part.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(found, ["control", "<b>steering"], "one VM is gone, another is new");
    let html = page::html(&plan, &Around { changes: Some(&changes), ..Around::default() });
    let page = Page::read(&html);
    assert!(page.values("href").any(|link| link == "#changes"));
    page.has_text("<b>steering");
    let same = Changes::new(&report::json(&plan), &plan).unwrap();
    assert_eq!(same.count(), 0);
    assert!(Changes::new("[]", &plan).is_err_and(|why| why.contains("no plan.json")));
    assert!(Changes::new("{}", &plan).is_err_and(|why| why.contains("`digest`")));
}

#[test]
fn warnings_and_inputs_are_on_the_page() {
    let plan = stand_in::of("demo");
    let inputs = [Input { name: "configs/demo.toml".into(), bytes: 17, digest: "0abc".into() }];
    let around = Around { warnings: "warning[W1 odd]: it is odd", inputs: &inputs, changes: None };
    let page = Page::read(&page::html(&plan, &around));
    page.has_text("warning[W1 odd]: it is odd");
    page.has_row(&["configs/demo.toml".into(), "17".into(), "0abc".into()]);
    Page::of(&plan).has_text("None.");
}
