//! The secret in the page's address.

use crate::core::{Error, ErrorKind, Result};
use std::hint::black_box;

/// 128 random bits from the operating system, as 32 hexadecimal digits.
pub(super) struct Token(String);

impl Token {
    /// # Errors
    /// The operating system has no random numbers.
    pub fn new() -> Result<Token> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|e| {
            Error::new(
                ErrorKind::Io,
                "the live page",
                format!("the system gave no random numbers for the page's address: {e}"),
            )
        })?;
        Ok(Token(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether `guess` is the token. The time this takes does not depend on where they differ.
    pub fn is(&self, guess: &str) -> bool {
        let (own, guess) = (self.0.as_bytes(), guess.as_bytes());
        let differ = |different, (a, b): (&u8, &u8)| black_box(different | (a ^ b));
        own.len() == guess.len() && own.iter().zip(guess).fold(0, differ) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_know_themselves() {
        let [a, b] = [Token::new().unwrap(), Token::new().unwrap()];
        assert!(a.text().len() == 32 && a.text() != b.text());
        assert!(a.is(a.text()) && !a.is(b.text()) && !a.is(""));
        assert!(!a.is(&a.text()[..31]) && !a.is(&format!("{}0", a.text())));
    }
}
