// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The parts of a report: headings, lines and tables, before they are text or a page.
//!
//! What plan.txt and plan.html say of a plan in words is put together once, in
//! [`report`](super::report); here is its form, and how it reads as text.

use std::fmt::{self, Display, Write};

/// A heading and what is below it.
pub struct Section {
    /// Where links of the page lead: a name that no other section has.
    pub id: String,
    pub heading: String,
    pub blocks: Vec<Block>,
}

pub enum Block {
    Line(String),
    /// Drawn with letters; the page draws it anew.
    Drawing(String),
    /// A command or a register, as hardware has it.
    Code(String),
    Table(Table),
}

impl Section {
    pub fn new(id: impl Into<String>, heading: impl Into<String>) -> Self {
        Self { id: id.into(), heading: heading.into(), blocks: Vec::new() }
    }

    pub fn line(&mut self, line: impl Into<String>) {
        self.blocks.push(Block::Line(line.into()));
    }

    pub fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
    }

    pub fn with(mut self, table: Table) -> Self {
        self.table(table);
        self
    }

    /// It takes no more than half a screen.
    pub fn is_short(&self) -> bool {
        let lines = self.blocks.iter().map(|block| match block {
            Block::Table(table) => table.rows.len(),
            _ => 1,
        });
        lines.sum::<usize>() <= 20
    }

    /// An empty line, the heading, and everything below it.
    pub fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "\n{}", self.heading)?;
        self.blocks.iter().try_for_each(|block| match block {
            Block::Line(line) | Block::Drawing(line) => writeln!(out, "  {line}"),
            Block::Code(line) => writeln!(out, "    {line}"),
            Block::Table(table) => table.write(out),
        })
    }
}

/// A table with aligned columns.
#[derive(Default)]
pub struct Table {
    /// Empty: it has none.
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|&cell| cell.to_owned()).collect();
        Self { head, rows: Vec::new() }
    }

    pub fn row(&mut self, cells: &[&dyn Display]) {
        self.rows.push(cells.iter().map(ToString::to_string).collect());
    }

    /// What its columns are, for those who cannot see it.
    pub fn name(&self) -> String {
        match self.head.is_empty() {
            true => "Table".into(),
            false => format!("Table: {}", self.head.join(", ")),
        }
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        let head = Some(&self.head).filter(|head| !head.is_empty());
        head.into_iter().chain(&self.rows)
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let columns = self.lines().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.lines().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in self.lines() {
            let mut line = String::from("  ");
            for (cell, width) in row.iter().zip(&widths) {
                // Not by a format's width, which ends at 65,535.
                let rest = width - cell.chars().count();
                line.extend([cell.as_str(), &" ".repeat(rest), "  "]);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_may_be_longer_than_a_format_can_pad() {
        let mut table = Table::new(&["a", "b"]);
        table.row(&[&"x".repeat(70_000), &1]);
        let mut text = String::new();
        table.write(&mut text).unwrap();
        assert_eq!(text.lines().map(str::len).collect::<Vec<_>>(), [70_005, 70_005]);
    }
}
