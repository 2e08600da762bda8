// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tables of boards in README.md and docs/boards.md.
//!
//! They stand between two marks and are made from the boards' TOMLs and from the scenarios that run
//! on them; the rest of the pages is written by hand.

use std::fs;
use std::path::Path;

use codegen::model::{Board, GicVersion, quirk};

use super::scenario;

const BEGIN: &str = "<!-- boards: written by `just schema` -->\n";
const END: &str = "<!-- boards: end -->\n";

/// How `source` begins of what `bulkhead import` made.
const IMPORTED: &str = "imported: ";

/// A board, and whether scenarios run on it.
struct Row {
    board: Board,
    runs: bool,
}

/// Both pages with their tables as they should be: path from the root, text. The error says what
/// cannot be read.
pub fn pages(root: &Path) -> Result<Vec<(String, String)>, String> {
    let rows = rows(root)?;
    Ok(vec![page(root, "README.md", &short(&rows))?, page(root, "docs/boards.md", &long(&rows))?])
}

fn page(root: &Path, name: &str, table: &str) -> Result<(String, String), String> {
    let text = fs::read_to_string(root.join(name)).map_err(|why| format!("{name}: {why}"))?;
    let text = filled(&text, table).ok_or(format!("{name} lacks {BEGIN}or {END}"))?;
    Ok((name.to_owned(), text))
}

/// Those that run here first.
fn rows(root: &Path) -> Result<Vec<Row>, String> {
    let tried = scenario::boards(root);
    let mut rows = Vec::new();
    for path in scenario::tomls(&root.join("boards")) {
        let board = codegen::load_board(&path).map_err(|report| report.render(false))?;
        let runs = tried.contains(&board.name.value);
        rows.push(Row { board, runs });
    }
    rows.sort_by_key(|row| !row.runs);
    Ok(rows)
}

fn filled(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

/// For README.md.
fn short(rows: &[Row]) -> String {
    let mut out = head(&["board", "tried", "events", "exits", "console", "boot path"]);
    for row in rows {
        out += &line(&[
            row.board.name.value.clone(),
            row.tried().into(),
            row.delivery().into(),
            row.exits().into(),
            row.console(),
            row.boot(),
        ]);
    }
    out
}

fn long(rows: &[Row]) -> String {
    let mut out = head(&[
        "board",
        "what it is",
        "tried",
        "from",
        "CPUs",
        "RAM ranges",
        "GIC",
        "events",
        "exits",
        "console",
        "SMMUv3",
        "PCIe hosts",
        "boot path",
    ]);
    for row in rows {
        let board = &row.board;
        let name = &board.name.value;
        out += &line(&[
            format!("[{name}](../boards/{name}.toml)"),
            board.description.clone(),
            row.tried().into(),
            row.source(),
            board.cpus.len().to_string(),
            board.ram.len().to_string(),
            row.gic(),
            row.delivery().into(),
            row.exits().into(),
            row.console(),
            board.smmus.len().to_string(),
            board.pcie.len().to_string(),
            row.boot(),
        ]);
    }
    out
}

impl Row {
    fn tried(&self) -> &'static str {
        let imported = self.board.source.as_ref().is_some_and(|from| from.starts_with(IMPORTED));
        match () {
            () if self.runs => "runs here",
            () if imported => "imported, untried",
            () => "untried",
        }
    }

    fn source(&self) -> String {
        let usual = if self.board.qemu.is_some() { "QEMU" } else { "" };
        self.board.source.clone().unwrap_or(usual.into())
    }

    fn boot(&self) -> String {
        let usual = if self.board.qemu.is_some() { "`just run`" } else { "" };
        self.board.boot.clone().unwrap_or(usual.into())
    }

    fn gic(&self) -> String {
        let gic = &self.board.gic;
        let version = match gic.version.value {
            GicVersion::V3 => "v3",
            GicVersion::V4_0 => "v4.0",
            GicVersion::V4_1 => "v4.1",
        };
        let its = if gic.its.is_some() { "ITS" } else { "no ITS" };
        format!("{version}, {its}")
    }

    fn events(&self) -> bool {
        self.board.gic.its.is_some() && !self.board.gic.has(&quirk::SOCIONEXT_PRE_ITS)
    }

    fn delivery(&self) -> &'static str {
        match (self.events(), self.board.gic.direct_injection()) {
            (false, _) => "SPIs, rings",
            (true, true) => "vLPI, direct",
            (true, false) => "LPI, listed",
        }
    }

    /// Of an event, or where there are none of an SPI.
    fn exits(&self) -> &'static str {
        if self.events() && self.board.gic.direct_injection() { "0" } else { "1" }
    }

    fn console(&self) -> String {
        let board = &self.board;
        let uart = board.console.as_ref().and_then(|console| board.uarts.get(console.value));
        let kind = uart.map(|uart| serde_json::to_value(uart.kind.value).unwrap_or_default());
        kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or("none: log").to_owned()
    }
}

fn head(columns: &[&str]) -> String {
    let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
    let rule = vec!["---"; columns.len()].join("|");
    format!("{}|{rule}|\n", line(&columns))
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}
