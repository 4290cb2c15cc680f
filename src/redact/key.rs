//! The key that turns a secret into a stable id.

use std::path::Path;

use zeroize::Zeroizing;

use super::RedactError;

/// 32 bytes that key the ids in replacements. Made anew for each bundle and never written, or kept by the user in a
/// file so that ids stay comparable across bundles.
pub struct CorrelationKey(Zeroizing<[u8; 32]>);

impl CorrelationKey {
    /// A new random key.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn random() -> Result<Self, RedactError> {
        let mut key = Zeroizing::new([0_u8; 32]);
        getrandom::fill(key.as_mut()).map_err(|e| RedactError::Key(e.to_string()))?;
        Ok(Self(key))
    }

    /// Reads a key file: at least 32 bytes of any content, of which a hash becomes the key.
    ///
    /// # Errors
    /// When the file cannot be read or is too short to be a key.
    pub fn from_file(path: &Path) -> Result<Self, RedactError> {
        use sha2::{Digest, Sha256};
        let bytes = Zeroizing::new(
            std::fs::read(path).map_err(|e| RedactError::Key(format!("cannot read {}: {e}", path.display())))?,
        );
        if bytes.len() < 32 {
            return Err(RedactError::Key(format!(
                "{} holds {} bytes; a key file needs at least 32 random bytes (try: head -c 32 /dev/urandom > {})",
                path.display(),
                bytes.len(),
                path.display()
            )));
        }
        Ok(Self(Zeroizing::new(Sha256::digest(&bytes).into())))
    }

    /// A key from given bytes, for tests and for runs whose result must not depend on chance.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(in crate::redact) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
