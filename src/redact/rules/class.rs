//! Sets of bytes, written like the inside of a bracket expression: `A-Za-z0-9_-`.

/// A set of bytes.
#[derive(Clone)]
pub(in crate::redact) struct Class([bool; 256]);

impl Class {
    /// Parses `A-Za-z0-9_-`; a dash at the end stands for itself.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || !text.is_ascii() {
            return Err("a class is a list of ASCII characters and ranges, such as \"A-Za-z0-9_-\"".to_owned());
        }
        let bytes = text.as_bytes();
        let mut set = [false; 256];
        let mut i = 0;
        while i < bytes.len() {
            if i + 2 < bytes.len() && bytes[i + 1] == b'-' {
                if bytes[i] > bytes[i + 2] {
                    return Err(format!("the range {:?} runs backwards", &text[i..i + 3]));
                }
                (bytes[i]..=bytes[i + 2]).for_each(|b| set[usize::from(b)] = true);
                i += 3;
            } else {
                set[usize::from(bytes[i])] = true;
                i += 1;
            }
        }
        Ok(Self(set))
    }

    pub(in crate::redact) fn has(&self, b: u8) -> bool {
        self.0[usize::from(b)]
    }

    /// How many bytes from `at` on belong to the class.
    pub(in crate::redact) fn run(&self, bytes: &[u8], at: usize) -> usize {
        bytes[at..].iter().take_while(|b| self.has(**b)).count()
    }
}
