//! Secret bytes in memory.

use zeroize::Zeroizing;

/// Bytes that are overwritten when they are dropped, and that nothing can print: there is no `Debug` and no `Display`.
pub(super) struct Hidden(Zeroizing<Vec<u8>>);

impl Hidden {
    pub(super) fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl std::ops::Deref for Hidden {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Display};

    use super::Hidden;
    use crate::redact::known::{Known, Sweep};
    use crate::redact::scan::Inside;
    use crate::redact::token::Ids;
    use crate::redact::{CorrelationKey, Redactor, Stream};

    /// Does not compile when a type that holds secrets can be printed: the call is ambiguous then.
    macro_rules! cannot_be_printed {
        ($($type:ty),+) => {$({
            trait Silent<T> {
                fn holds() -> bool {
                    true
                }
            }
            struct Printed;
            struct Shown;
            impl<T: ?Sized> Silent<()> for T {}
            impl<T: ?Sized + Debug> Silent<Printed> for T {}
            impl<T: ?Sized + Display> Silent<Shown> for T {}
            assert!(<$type as Silent<_>>::holds());
        })+};
    }

    #[test]
    fn what_holds_secrets_cannot_be_printed() {
        cannot_be_printed!(Hidden, Inside, Known, Sweep, Ids, CorrelationKey, Redactor, Stream);
    }
}
