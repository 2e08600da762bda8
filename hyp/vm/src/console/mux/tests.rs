// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Of `mux.rs`.

use super::*;
use crate::{
    console::{Input, focus, key},
    testing,
};
use plan::Plan;
use std::{format, string::String, vec, vec::Vec};

struct Bench {
    plan: &'static Plan,
    vms: Vec<VmState>,
    mux: Mux,
}

impl Bench {
    fn new(colour: bool) -> Self {
        let plan = testing::plan();
        Self { plan, vms: vec![VmState::new(), VmState::new()], mux: Mux::new(plan.focus, colour) }
    }
    fn print(&self, vm: usize, text: &str) {
        assert!(text.bytes().all(|byte| self.vms[vm].output.push(byte)));
    }
    fn sent(&mut self) -> String {
        let mut text = String::new();
        let pumped = self.mux.pump(name, &self.vms, &mut |byte| {
            text.push(byte as char);
            true
        });
        assert!(pumped.idle);
        text
    }
    /// What a terminal shows of what is sent, colours and all.
    fn shown(&mut self) -> String {
        seen(&self.sent())
    }
    fn own(&mut self, text: &str) {
        assert!(text.bytes().all(|byte| self.mux.write(byte)));
    }
    fn typed(&mut self, keys: &[u8]) -> Input {
        let mut last = Input::Nothing;
        for &key in keys {
            last = self.mux.input(self.plan, key);
        }
        last
    }
}

fn name(vm: usize) -> &'static str {
    ["one", "two"][vm]
}

/// What a terminal shows, colours and all.
fn seen(sent: &str) -> String {
    let mut text = String::from(sent);
    while let Some(end) = text.find(wire::ERASE) {
        text.replace_range(end - 6..end + wire::ERASE.len(), "");
    }
    let text = text.replace(wire::NEUTRAL, "");
    text.chars().filter(|&shown| !wire::is_reserved(shown as u8)).collect()
}

#[test]
fn who_speaks_is_said_by_bytes_that_no_guest_can_send() {
    let mut bench = Bench::new(false);
    bench.print(0, "a\x18\x01\x02\x03\x04b\0\x1b\x7f\r\n");
    bench.own("bulkhead: 1\n");
    assert_eq!(
        bench.sent(),
        "\x18\x01\x0f\x1b(B\x1b[mbulkhead: 1\x03\r\n0008d5\r\x1b[K\
         \x18\x02[one] a\x18X\x18A\x18B\x18C\x18Db\0\x1b\x7f\r\r\n"
    );
    bench.print(0, "open");
    assert_eq!(bench.sent(), "\x18\x02[one] open");
    bench.own("bulkhead: \x1b\x01\n");
    assert_eq!(
        bench.sent(),
        "\x03\r\n\x18\x01\x0f\x1b(B\x1b[mbulkhead: ??\x03\r\n01fc11\r\x1b[K\
         \x18\x02[one] \x04open\x04"
    );
}

#[test]
fn a_line_of_the_hypervisors_is_never_cut() {
    let mut bench = Bench::new(false);
    bench.own("bulkhead: half ");
    assert_eq!(bench.shown(), "bulkhead: half ");
    bench.print(1, "other\n");
    bench.print(0, "prompt");
    assert_eq!(bench.shown(), "");
    bench.own("a line\n");
    assert_eq!(bench.shown(), "a line\r\n[two] other\r\n[one] prompt");
}

#[test]
fn whole_lines_take_turns() {
    let mut bench = Bench::new(false);
    bench.print(1, "b1\nb2\nb3");
    bench.print(0, "a1\r\na2\n");
    bench.own("bulkhead: hello\n");
    assert_eq!(
        bench.shown(),
        "bulkhead: hello\r\n[one] a1\r\r\n[two] b1\r\n[one] a2\r\n[two] b2\r\n"
    );
    bench.print(1, "\n");
    assert_eq!(bench.shown(), "[two] b3\r\n");
}

#[test]
fn a_prompt_is_shown_at_once_and_gives_way() {
    let mut bench = Bench::new(false);
    bench.print(0, "login: ");
    bench.print(1, "secret");
    assert_eq!(bench.shown(), "[one] login: ");
    bench.print(0, "ro");
    assert_eq!(bench.shown(), "ro");
    bench.print(1, " text\n");
    assert_eq!(bench.shown(), "\r\n[two] secret text\r\n[one] login: ro");
    bench.print(0, "ot\n");
    assert_eq!(bench.shown(), "ot\r\n");
    bench.print(1, "more\n");
    assert_eq!(bench.shown(), "[two] more\r\n");
}

#[test]
fn a_line_that_ends_has_been_shown_whole() {
    let mut bench = Bench::new(false);
    let mut text = String::new();
    for (n, letter) in "figure x 1234\n".chars().enumerate() {
        bench.print(0, letter.encode_utf8(&mut [0; 4]));
        if n % 5 == 4 {
            bench.print(1, "other\n");
        }
        text.push_str(&bench.shown());
    }
    let whole: Vec<_> = text.lines().filter(|line| line.ends_with("1234")).collect();
    assert_eq!(whole, ["[one] figure x 1234"], "{text}");
    assert_eq!(text.lines().filter(|line| *line == "[two] other").count(), 2);
}

#[test]
fn a_line_too_long_to_be_kept_goes_on_behind_a_new_prefix() {
    let mut bench = Bench::new(false);
    let long = "x".repeat(KEPT + 1);
    bench.print(0, &long);
    bench.shown();
    bench.print(1, "other\n");
    assert_eq!(bench.shown(), "\r\n[two] other\r\n");
    bench.print(0, "rest\n");
    assert_eq!(bench.shown(), "[one] rest\r\n");
}

#[test]
fn the_input_may_move_while_a_line_is_cut() {
    let mut bench = Bench::new(false);
    bench.print(0, "first ");
    bench.shown();
    bench.typed(b"\x1d1");
    bench.own("bulkhead: input goes to two\n");
    assert_eq!(bench.shown(), "\r\nbulkhead: input goes to two\r\n");
    bench.print(1, "second ");
    assert_eq!(bench.shown(), "[two] second ");
    bench.print(0, "line\n");
    assert_eq!(bench.shown(), "\r\n[one] line\r\n[two] second ");
}

#[test]
fn colours_are_around_the_name() {
    let mut bench = Bench::new(true);
    bench.print(0, "x\n");
    assert_eq!(bench.sent(), "\x18\x02\x1b[36m[one]\x1b[0m x\r\n");
}

#[test]
fn a_line_longer_than_its_ring_is_cut() {
    let mut bench = Bench::new(false);
    while bench.vms[1].output.push(b'x') {}
    let text = bench.shown();
    assert!(text.starts_with("[two] xxx") && text.len() == crate::guest::OUTPUT_ROOM + 6);
    bench.own("bulkhead: now\n");
    assert_eq!(bench.shown(), "\r\nbulkhead: now\r\n");
}

#[test]
fn an_endless_line_does_not_silence_others() {
    let mut bench = Bench::new(false);
    while bench.vms[0].output.push(b'x') {}
    bench.print(1, "here\n");
    assert!(bench.shown().contains("\r\n[two] here\r\n[one] x"));
}

#[test]
fn a_full_uart_loses_nothing() {
    let mut bench = Bench::new(true);
    bench.print(0, "one line\nanother\n");
    bench.print(1, "third\n");
    let whole = {
        let mut other = Bench::new(true);
        other.print(0, "one line\nanother\n");
        other.print(1, "third\n");
        other.sent()
    };
    let mut text = String::new();
    for _ in 0..whole.len() {
        let mut room = 1;
        bench.mux.pump(name, &bench.vms, &mut |byte| {
            let taken = room > 0;
            if taken {
                room -= 1;
                text.push(byte as char);
            }
            taken
        });
    }
    assert_eq!(text, whole);
}

#[test]
fn tells_who_was_blocked() {
    let mut bench = Bench::new(false);
    bench.print(1, "x\n");
    bench.vms[1].blocked.store(true, Relaxed);
    let pumped = bench.mux.pump(name, &bench.vms, &mut |_| true);
    assert_eq!(pumped, Pumped { idle: true, unblocked: 2 });
}

#[test]
fn escape_key() {
    let mut bench = Bench::new(false);
    let vm = VmIndex::new;
    assert_eq!(bench.typed(b"x"), Input::Deliver(vm(0), b'x'));
    assert_eq!(bench.typed(b"\x1dn"), Input::ShowFocus);
    assert_eq!(bench.typed(b"y"), Input::Deliver(vm(1), b'y'));
    assert_eq!(bench.typed(b"\x1dn"), Input::ShowFocus);
    assert_eq!(bench.typed(b"\x1d\x1d"), Input::Deliver(vm(0), 0x1d));
    assert_eq!(bench.typed(b"z"), Input::Deliver(vm(0), b'z'));
    assert_eq!(bench.typed(b"\x1dc"), Input::ShowCounters);
    assert_eq!(bench.typed(b"\x1ds"), Input::ShowPlaces);
    assert_eq!(bench.typed(b"\x1d1"), Input::ShowFocus);
    assert_eq!(bench.mux.focus(), vm(1));
    assert_eq!(bench.typed(b"\x1d7"), Input::NoConsole);
    assert_eq!(bench.typed(b"\x1d?"), Input::ShowKeys);
    let mut help = String::new();
    assert_eq!((0..9).take_while(|&line| key(bench.plan, vm(1), line, &mut help)).count(), 3);
    focus(bench.plan, vm(1), &mut help);
    assert!(help.lines().all(|line| line.starts_with("bulkhead: ")));
    assert!(help.contains("bulkhead: 1 two, has the input"));
    assert!(help.ends_with("bulkhead: input goes to two\n"));
}

#[test]
fn a_line_that_is_being_printed_is_not_cut() {
    let mut bench = Bench::new(false);
    bench.mux.patient(true);
    bench.print(0, "half ");
    assert_eq!(bench.shown(), "");
    assert_eq!(bench.mux.defers(&bench.vms), Some(VmIndex::new(0)));
    bench.print(1, "whole\n");
    assert_eq!(bench.shown(), format!("[{}] whole\r\n", bench.plan.vms[1].name));
    bench.print(0, "a line\n");
    assert_eq!(bench.shown(), format!("[{}] half a line\r\n", bench.plan.vms[0].name));
    assert_eq!(bench.mux.defers(&bench.vms), None);
    bench.print(0, "prompt");
    bench.mux.patient(false);
    assert_eq!(bench.shown(), format!("[{}] prompt", bench.plan.vms[0].name));
    bench.mux.patient(true);
    bench.print(1, "other\n");
    assert_eq!(bench.shown(), "");
    assert_eq!(bench.mux.defers(&bench.vms), Some(VmIndex::new(0)));
}
