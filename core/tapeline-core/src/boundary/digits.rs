//! Keys that a command asks to press.

use std::fmt;

/// Keys and pauses of one command.
pub const DIGITS_MAX: usize = 64;

/// `0`-`9`, `*`, `#`, `A`-`D`; `w` waits half a second, `W` a second. Inline, and never shown: it may
/// be a PIN.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DigitString {
    length: u8,
    digits: [u8; DIGITS_MAX],
}

impl DigitString {
    /// `None`: empty, longer than [`DIGITS_MAX`], or something else in it.
    pub fn parse(text: &str) -> Option<Self> {
        let is_known = |key: &u8| b"0123456789*#ABCDwW".contains(key);
        let keys = text.as_bytes();
        if keys.is_empty() || keys.len() > DIGITS_MAX || !keys.iter().all(is_known) {
            return None;
        }
        let mut digits = [0; DIGITS_MAX];
        digits.get_mut(..keys.len())?.copy_from_slice(keys);
        Some(Self { length: keys.len() as u8, digits })
    }

    /// ASCII.
    pub fn keys(&self) -> &[u8] {
        self.digits.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

impl fmt::Debug for DigitString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys, withheld", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_pauses_are_taken_and_nothing_else() {
        let whole = "0123456789*#ABCDwW".repeat(3);
        for text in ["1", "12w#W*", "ABCD", &whole] {
            let digits = DigitString::parse(text).unwrap();
            assert_eq!(digits.keys(), text.as_bytes());
            assert_eq!(format!("{digits:?}"), format!("{} keys, withheld", text.len()));
        }
        let long = "1".repeat(65);
        for text in ["", " ", "1 2", "a", "E", "1\n", "é", "+1", &long] {
            assert_eq!(DigitString::parse(text), None, "{text:?}");
        }
    }
}
