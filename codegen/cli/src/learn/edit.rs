// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A TOML that is edited and keeps its form.

use std::path::{Path, PathBuf};

use codegen::emit::report::size;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TableLike, Value};

use super::Change;

/// One file.
pub struct Tables {
    path: PathBuf,
    old: String,
    document: DocumentMut,
}

impl Tables {
    pub fn new(path: &Path, text: &str) -> Result<Self, String> {
        let document = text.parse();
        let document = document.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path: path.to_owned(), old: text.to_owned(), document })
    }

    /// None: it is as it was.
    pub fn change(self) -> Option<Change> {
        let new = self.document.to_string();
        let changed = new != self.old;
        changed.then_some(Change { path: self.path, old: self.old, new })
    }

    /// The [[vm]] of that name.
    fn vm(&mut self, name: &str) -> Option<&mut Table> {
        let vms = self.document.get_mut("vm")?.as_array_of_tables_mut()?;
        vms.iter_mut().find(|vm| text(*vm, "name") == Some(name))
    }

    /// The [[vm.event]]s of that VM.
    pub fn events(&mut self, vm: &str) -> Option<&mut ArrayOfTables> {
        self.vm(vm)?.get_mut("event")?.as_array_of_tables_mut()
    }

    pub fn priority(&mut self, vm: &str, priority: u8) -> bool {
        let Some(vm) = self.vm(vm) else { return false };
        set(vm, "event_priority", hex(priority.into()));
        true
    }

    /// One more event, after those that the device has.
    pub fn unplanned(&mut self, vm: &str, device: &str, event: u32) -> bool {
        let Some(events) = self.events(vm) else { return false };
        let mut all: Vec<Table> = events.iter().cloned().collect();
        let last = all.iter().rposition(|table| text(table, "device") == Some(device));
        let Some(last) = last else { return false };
        let mut new = Table::new();
        new.decor_mut().set_prefix("\n");
        set(&mut new, "device", device.into());
        set(&mut new, "event", i64::from(event).into());
        all.insert(last + 1, new);
        replace(events, all);
        true
    }

    /// False unless the file has that BAR with the size that was planned.
    pub fn bar(&mut self, device: &str, bar: u8, planned: u64, bytes: u64) -> bool {
        let devices = self.document.get_mut("device").and_then(Item::as_array_of_tables_mut);
        let mut devices = devices.into_iter().flat_map(ArrayOfTables::iter_mut);
        let named = devices.find(|of| text(*of, "name") == Some(device));
        let Some(bars) = named.and_then(|of| of.get_mut("bars")) else { return false };
        let is = |of: &dyn TableLike| {
            let index = of.get("index").and_then(Item::as_integer);
            index == Some(bar.into()) && of.get("size").and_then(in_bytes) == Some(planned)
        };
        let size = Value::from(size(bytes));
        match bars {
            Item::Value(Value::Array(bars)) => {
                let mut tables = bars.iter_mut().filter_map(Value::as_inline_table_mut);
                tables.find(|of| is(*of)).map(|of| set(of, "size", size)).is_some()
            }
            Item::ArrayOfTables(bars) => {
                bars.iter_mut().find(|of| is(*of)).map(|of| set(of, "size", size)).is_some()
            }
            _ => false,
        }
    }
}

/// A string of a table.
pub fn text<'t>(table: &'t dyn TableLike, key: &str) -> Option<&'t str> {
    table.get(key)?.as_str()
}

/// Writes a value; one that is there keeps its place and its comment.
pub fn set(table: &mut dyn TableLike, key: &str, value: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = value;
            *old.decor_mut() = decor;
        }
        None => drop(table.insert(key, Item::Value(value))),
    }
}

/// A list's tables anew. One without a place stands behind the one before it.
pub fn replace(list: &mut ArrayOfTables, tables: Vec<Table>) {
    list.clear();
    tables.into_iter().for_each(|table| list.push(table));
}

fn hex(value: u64) -> Value {
    format!("{value:#x}").parse().unwrap_or_else(|_| Value::from(value.to_string()))
}

/// A size as TOMLs have it: "16 KiB", or a number of bytes.
fn in_bytes(item: &Item) -> Option<u64> {
    if let Some(bytes) = item.as_integer() {
        return bytes.try_into().ok();
    }
    let text = item.as_str()?;
    [0, 10, 20, 30].into_iter().find_map(|shift| {
        let number: u64 = text.split(' ').next()?.parse().ok()?;
        let bytes = number.checked_shl(shift)?;
        let unit = text.split(' ').nth(1)?;
        (["B", "KiB", "MiB", "GiB"].get(shift as usize / 10) == Some(&unit)).then_some(bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(old: &str, edit: impl FnOnce(&mut Tables) -> bool) -> Option<String> {
        let mut tables = Tables::new(Path::new("x.toml"), old).unwrap();
        edit(&mut tables).then(|| tables.change().map_or(old.into(), |change| change.new))
    }

    const SYSTEM: &str = "# one\n[[vm]] # two\nname = \"a\"\nevent_priority = 160 # three\n\n\
                          [[vm.event]]\ndevice = \"x\" # four\nevent = 0\n\n[[vm]]\nname = \"b\"\n";

    #[test]
    fn values_change_and_comments_stay() {
        let new = edited(SYSTEM, |tables| tables.priority("a", 0xc0)).unwrap();
        assert_eq!(new, SYSTEM.replace("160", "0xc0"));
        let new = edited(SYSTEM, |tables| tables.priority("b", 0xc0)).unwrap();
        assert_eq!(new, format!("{SYSTEM}event_priority = 0xc0\n"));
        assert_eq!(edited(SYSTEM, |tables| tables.priority("c", 0xc0)), None);
    }

    #[test]
    fn an_event_is_added_behind_its_device_s() {
        let new = edited(SYSTEM, |tables| tables.unplanned("a", "x", 3)).unwrap();
        let after = "event = 0\n\n[[vm.event]]\ndevice = \"x\"\nevent = 3\n\n[[vm]]";
        assert_eq!(new, SYSTEM.replace("event = 0\n\n[[vm]]", after));
        assert_eq!(edited(SYSTEM, |tables| tables.unplanned("a", "y", 3)), None);
        assert_eq!(edited(SYSTEM, |tables| tables.unplanned("b", "x", 3)), None);
    }

    #[test]
    fn a_bar_changes_if_it_is_as_the_plan_had_it() {
        let board = "[[device]]\nname = \"x\"\nbars = [\n  { index = 0, size = \"1 KiB\" },\n  \
                     { index = 2, size = \"16 KiB\", wide = true }, # wide\n]\n";
        let new = edited(board, |tables| tables.bar("x", 2, 0x4000, 0x8000)).unwrap();
        assert_eq!(new, board.replace("16 KiB", "32 KiB"));
        assert_eq!(edited(board, |tables| tables.bar("x", 2, 0x1000, 0x8000)), None);
        assert_eq!(edited(board, |tables| tables.bar("y", 2, 0x4000, 0x8000)), None);
    }
}
