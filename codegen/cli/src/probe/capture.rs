// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The probe's text, among whatever else a console said.

use std::collections::BTreeMap;

use abi::console::Check;

const BEGIN: &str = "# bulkhead probe: begin";
const END: &str = "# bulkhead probe: end, check ";
const STOPPED: &str = "#! stopped: ";
const WRONG: &str = "#! ";

/// What a board is, by its probe.
#[derive(Debug)]
pub struct Measured {
    /// A board TOML that inherits the board.
    pub text: String,
    /// What is not as the board says, and has no key.
    pub wrong: Vec<String>,
    /// Registers by name; of several CPUs or parts the last one's.
    pub registers: BTreeMap<String, u64>,
}

/// The last whole text in a console's lines. The error says why there is none.
pub fn read(lines: &[String]) -> Result<Measured, String> {
    let lines = || lines.iter().map(|line| line.trim_end());
    if let Some(why) = lines().find_map(|line| line.strip_prefix(STOPPED)) {
        return Err(format!("the probe stopped: {why}"));
    }
    let begin = lines().rposition(|line| line == BEGIN);
    let begin = begin.ok_or("the console has no text of a probe")?;
    let text: Vec<&str> =
        lines().skip(begin + 1).take_while(|line| !line.starts_with(END)).collect();
    let end = lines().nth(begin + 1 + text.len()).and_then(|line| line.strip_prefix(END));
    let said = end.ok_or("the probe's text has no end: was the line closed too early?")?;
    let bytes = text.iter().flat_map(|line| line.bytes().chain([b'\n']));
    let check = bytes.fold(Check::START, Check::with).value();
    if said != format!("{check:04x}") {
        return Err("the probe's text is damaged: characters were lost on the way".into());
    }
    let register = |line: &&str| {
        let (name, value) = line.strip_prefix("# ")?.split_once(" = 0x")?;
        Some((name.to_owned(), u64::from_str_radix(value.split(':').next()?, 16).ok()?))
    };
    Ok(Measured {
        text: text.iter().map(|line| format!("{line}\n")).collect(),
        wrong: text.iter().filter_map(|line| line.strip_prefix(WRONG)).map(str::to_owned).collect(),
        registers: text.iter().filter_map(register).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> Vec<String> {
        let check = body.bytes().fold(Check::START, Check::with).value();
        let text = format!("U-Boot\n{BEGIN}\n{body}{END}{check:04x}\nbulkhead: result: pass\n");
        text.lines().map(str::to_owned).collect()
    }

    const BODY: &str = "inherit = \"a\"\n\n[gic]\n# GICD_IIDR = 0x43b\n#! no answer at 0x10: ecam\n\
                        # GITS_BASER0 = 0x107: devices, 8 bytes\n";

    #[test]
    fn the_text_is_between_its_marks() {
        let measured = read(&said(BODY)).unwrap();
        assert_eq!(measured.text, BODY);
        assert_eq!(measured.wrong, ["no answer at 0x10: ecam"]);
        assert_eq!(measured.registers["GICD_IIDR"], 0x43b);
        assert_eq!(measured.registers["GITS_BASER0"], 0x107);
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let whole = said(BODY);
        let lost: Vec<String> = whole.iter().map(|line| line.replace("43b", "43")).collect();
        assert!(read(&lost).unwrap_err().contains("damaged"));
        assert!(read(&whole[..5]).unwrap_err().contains("no end"));
        assert!(read(&whole[..1]).unwrap_err().contains("no text"));
        let stopped = ["#! stopped: not entered at EL2".to_owned()];
        assert!(read(&stopped).unwrap_err().contains("not entered at EL2"));
    }
}
