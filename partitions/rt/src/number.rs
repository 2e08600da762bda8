// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Numbers as a person writes them in `arguments`.

/// Decimal, or hexadecimal after 0x; underscores between digits are ignored.
pub fn parse(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let mut value = None;
    for digit in digits.chars().filter(|digit| *digit != '_') {
        let digit = u64::from(digit.to_digit(radix)?);
        value = Some(value.unwrap_or(0u64).checked_mul(u64::from(radix))?.checked_add(digit)?);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_are_read_or_refused() {
        assert_eq!(parse("10_000"), Some(10_000));
        assert_eq!(parse("0xff"), Some(255));
        assert_eq!(parse("0"), Some(0));
        for text in ["", "_", "0x", "12k", "-1", "0x1_0000_0000_0000_0000"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
