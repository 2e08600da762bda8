// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Serial ports: what their kind has, and whether it fits where they are.

use super::range::{self, hex};
use crate::diag::{Report, rules};
use crate::model::{System, Uart, UartKind};
use crate::units::Size;

const PAGE: u64 = 4096;
/// Every register is in a word of its own at least.
const UNIT: u64 = 4;

pub fn check(system: &System, report: &mut Report) {
    for uart in &system.board.uarts {
        let what = format!("UART `{}`", uart.name.value);
        let aligned =
            range::aligned(report, &uart.region.base, UNIT, &format!("the address of {what}"));
        let sized = range::some(report, &uart.region.size, &format!("the size of {what}"));
        if registers(uart, report) && aligned && sized {
            size(uart, report);
        }
    }
}

/// Keys that its kind does not have, and accesses that reach more than one register.
fn registers(uart: &Uart, report: &mut Report) -> bool {
    let (own, kind) = (&uart.name.value, uart.kind.value);
    let (shift, width) = (&uart.reg_shift, &uart.reg_io_width);
    let before = report.diagnostics.len();
    let fixed = |key: &str, what: &str| {
        rules::UART_REGISTERS
            .says(format!("`{key}` of UART `{own}`, which is {}", name(kind)))
            .label(&uart.kind, format!("{what} are known"))
    };
    if kind != UartKind::Ns16550 && shift.value != 0 {
        let fixed = fixed("reg_shift", "the places of its registers");
        report.push(fixed.label(shift, "for a 16550 alone").help("leave out reg_shift"));
    }
    let usual = Uart::usual_width(kind);
    if !matches!(kind, UartKind::Ns16550 | UartKind::Pl011) && width.value != usual {
        let fixed = fixed("reg_io_width", "the widths of its registers");
        let fixed = fixed.label(width, "for a 16550 or a PL011");
        report.push(fixed.help("leave out reg_io_width"));
    } else if !Uart::WIDTHS.contains(&width.value) {
        report.push(
            rules::UART_REGISTERS
                .says(format!("UART `{own}` takes no accesses of {} bytes", width.value))
                .label(width, "1, 2 or 4")
                .help(format!("write reg_io_width = {usual}, if the device tree has none")),
        );
    } else if kind == UartKind::Ns16550 && width.value > 1 << shift.value {
        report.push(
            rules::UART_REGISTERS
                .says(format!("an access to UART `{own}` reaches more than one register"))
                .label(width, format!("accesses of {} bytes", width.value))
                .label(shift, format!("registers are {} apart", Size(1 << shift.value)))
                .help(format!(
                    "write reg_shift = {} or more, or reg_io_width = 1",
                    width.value.trailing_zeros()
                )),
        );
    }
    report.diagnostics.len() == before
}

/// All that EL2 touches is in the region, and in one page: the one that EL2 maps.
fn size(uart: &Uart, report: &mut Report) {
    let (own, needed) = (&uart.name.value, uart.bytes());
    let kind = name(uart.kind.value);
    let size = &uart.region.size;
    if size.value < needed {
        report.push(
            rules::UART_SIZE
                .says(format!("UART `{own}` is smaller than {kind}"))
                .label(size, format!("{} of registers", Size(size.value)))
                .label(&uart.kind, format!("has {} and more", Size(needed)))
                .help("write the size that the manual or the device tree has, or another kind"),
        );
    } else if uart.region.start() % PAGE + needed > PAGE {
        report.push(
            rules::UART_SIZE
                .says(format!("the registers of UART `{own}` lie in two pages of 4 KiB"))
                .label(&uart.region.base, format!("{} from here on", Size(needed)))
                .help(format!(
                    "compare {} with the manual: no {} is known to lie so",
                    hex(uart.region.start()),
                    kind.split_once(' ').map_or(kind, |(_, kind)| kind)
                )),
        );
    }
}

/// What people call it.
pub fn name(kind: UartKind) -> &'static str {
    match kind {
        UartKind::Pl011 => "a PL011",
        UartKind::Sbsa => "an SBSA Generic UART",
        UartKind::Ns16550 => "a 16550",
        UartKind::Imx => "an i.MX UART",
        UartKind::Lpuart => "an LPUART",
        UartKind::Geni => "a GENI serial engine",
        UartKind::Scif => "a SCIF",
        UartKind::Hscif => "an HSCIF",
        UartKind::Cadence => "a Cadence UART",
        UartKind::Meson => "a Meson UART",
    }
}
