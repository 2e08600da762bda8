// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A range drawn to scale, with what is in it.

/// What a bar is wide, in the picture's own units.
pub const WIDE: u64 = 100_000;
/// A narrower part has no room for its name.
const NAMED: u64 = WIDE / 10;
/// A narrower one is drawn as a line, so that it can be seen at all.
const THIN: u64 = WIDE / 200;

pub struct Bar {
    /// What it is of.
    pub name: String,
    /// What it shows, for those who cannot see it.
    pub about: String,
    /// At its ends.
    pub from: String,
    pub to: String,
    pub parts: Vec<Part>,
    /// The stretch of the bar above that it magnifies.
    pub zoom: Option<(u64, u64)>,
}

pub struct Part {
    pub at: u64,
    pub width: u64,
    /// Of its colour.
    pub class: String,
    pub name: String,
    pub title: String,
}

impl Part {
    /// Of `range`, by its place in `whole`: both a start and a length.
    pub fn new(range: (u64, u64), whole: (u64, u64), class: String, name: &str) -> Self {
        let at = scaled(range.0.saturating_sub(whole.0), whole.1);
        let end = scaled((range.0 + range.1).saturating_sub(whole.0), whole.1);
        let width = end.saturating_sub(at).max(1);
        Self { at, width, class, name: name.to_owned(), title: name.to_owned() }
    }

    pub fn title(mut self, title: String) -> Self {
        self.title = title;
        self
    }

    /// There is room for its name.
    pub fn is_named(&self) -> bool {
        self.width >= NAMED
    }

    pub fn is_thin(&self) -> bool {
        self.width < THIN
    }
}

/// In units of the picture.
pub fn scaled(part: u64, whole: u64) -> u64 {
    let units = u128::from(part) * u128::from(WIDE) / u128::from(whole.max(1));
    units.min(WIDE.into()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_to_scale_and_never_invisible() {
        let whole = (0x4000_0000, 0x4000_0000);
        let part = |base, bytes| Part::new((base, bytes), whole, String::new(), "x");
        let half = part(0x6000_0000, 0x2000_0000);
        assert_eq!((half.at, half.width), (WIDE / 2, WIDE / 2));
        let page = part(0x4000_0000, 0x1000);
        assert_eq!((page.at, page.width), (0, 1));
        assert!(page.is_thin() && !page.is_named() && half.is_named());
        assert_eq!(scaled(u64::MAX, u64::MAX), WIDE);
    }
}
