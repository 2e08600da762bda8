// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sends numbered, checksummed messages through a channel.
//!
//! Each message holds its number, a length that varies, bytes that look random and depend on the
//! number, and a sum over all of it (`rt::message`). The first message says how many follow.
//! Argument: `count=` (10000), `channel=` (the first one). When all are sent it waits for the
//! consumer's verdict, which comes back the other way.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use rt::channel::{self, Error};
use rt::message::{self, Message};
use rt::{Machine, Outcome, cpu, figure, println, ring, timer};

rt::entry!(main);

const NO_CHANNEL: u32 = 2;
const REFUSED: u32 = 3;

fn main(machine: &'static Machine) -> Outcome {
    let count = machine.number("count").unwrap_or(10_000);
    let name = machine.argument("channel");
    let Some(end) = machine.channels().find(|end| name.is_none_or(|name| name == end.name)) else {
        println!("this VM has no such channel");
        return Outcome::Failed(NO_CHANNEL);
    };
    println!("{count} messages on channel {}", end.name);
    match produce(&end, count) {
        Ok(true) => Outcome::Passed,
        Ok(false) => Outcome::Failed(REFUSED),
        Err(error) => {
            println!("{error}");
            Outcome::Failed(1)
        }
    }
}

/// Sends everything; whether the consumer found all of it good.
fn produce(end: &rt::machine::ChannelEnd, count: u64) -> Result<bool, Error> {
    let (mut sender, mut receiver) = channel::open(end)?;
    cpu::enable_interrupts();
    let began = timer::now();
    sender.send(&count.to_le_bytes())?;
    let mut bytes = 0;
    for number in 0..count {
        let message = Message::numbered(number);
        bytes += message.bytes().len() as u64;
        sender.send(message.bytes())?;
    }
    let mut buffer = [0; ring::LONGEST];
    let good = receiver.receive(&mut buffer)? == message::GOOD;
    let ns = timer::nanoseconds(timer::now() - began).max(1);
    figure!("messages-sent", count);
    figure!("bytes-sent", bytes, "bytes");
    figure!("messages-per-second", (u128::from(count) * 1_000_000_000 / u128::from(ns)) as u64);
    figure!("rings-given", sender.rings());
    figure!("rings-taken", channel::interrupts());
    Ok(good)
}
