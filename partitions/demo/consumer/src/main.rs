// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Takes messages from a channel and checks their order and content.
//!
//! The counterpart of `producer`: the first message says how many follow, each of them must be the
//! next number with the bytes and the sum that belong to it. The verdict goes back through the
//! channel. Argument: `channel=` (the first one).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use rt::channel::{self, Error};
use rt::machine::ChannelEnd;
use rt::message::{self, Message};
use rt::{Machine, Outcome, cpu, figure, println, ring, timer};

rt::entry!(main);

const NO_CHANNEL: u32 = 2;
const BAD_MESSAGE: u32 = 3;

fn main(machine: &'static Machine) -> Outcome {
    let name = machine.argument("channel");
    let Some(end) = machine.channels().find(|end| name.is_none_or(|name| name == end.name)) else {
        println!("this VM has no such channel");
        return Outcome::Failed(NO_CHANNEL);
    };
    match consume(&end) {
        Ok(true) => Outcome::Passed,
        Ok(false) => Outcome::Failed(BAD_MESSAGE),
        Err(error) => {
            println!("{error}");
            Outcome::Failed(1)
        }
    }
}

/// Takes everything and answers; whether all of it was good.
fn consume(end: &ChannelEnd) -> Result<bool, Error> {
    let (mut sender, mut receiver) = channel::open(end)?;
    cpu::enable_interrupts();
    let mut buffer = [0; ring::LONGEST];
    let count = match receiver.receive(&mut buffer)?.try_into() {
        Ok(bytes) => u64::from_le_bytes(bytes),
        Err(_) => 0,
    };
    let began = timer::now();
    let mut bytes = 0;
    let mut bad = None;
    for number in 0..count {
        let message = receiver.receive(&mut buffer)?;
        bytes += message.len() as u64;
        if message != Message::numbered(number).bytes() && bad.is_none() {
            bad = Some((number, message::number(message)));
        }
    }
    let ns = timer::nanoseconds(timer::now() - began).max(1);
    let good = bad.is_none() && count != 0;
    if let Some((wanted, got)) = bad {
        println!("message {wanted} is wrong: it says {got:?}");
    }
    figure!("messages-taken", count);
    figure!(
        "bytes-per-second",
        (u128::from(bytes) * 1_000_000_000 / u128::from(ns)) as u64,
        "bytes"
    );
    figure!("rings-given", receiver.rings());
    figure!("rings-taken", channel::interrupts());
    sender.send(if good { message::GOOD } else { message::BAD })?;
    Ok(good)
}
