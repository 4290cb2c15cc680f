//! Secret bytes in memory.

use zeroize::Zeroizing;

/// A buffer of raw content that is overwritten when it is dropped. Unlike [`Zeroizing`] it is not overwritten byte by byte, which
/// takes as long as a good part of the search.
#[derive(Default)]
pub(super) struct Raw(Vec<u8>);

impl std::ops::Deref for Raw {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl std::ops::DerefMut for Raw {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.0.clear();
        self.0.resize(self.0.capacity(), 0);
        // Nobody reads the zeros, so they would not be written without it.
        zeroize::optimization_barrier(self.0.as_slice());
    }
}

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

    use super::{Hidden, Raw};
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
        cannot_be_printed!(Hidden, Raw, Inside, Known, Sweep, Ids, CorrelationKey, Redactor, Stream);
    }
}
