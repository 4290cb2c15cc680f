//! `[host.program]`: a program that runs on the host itself, or in a container of it, where there is no cluster.

use serde::Deserialize;

/// A program of this host. What a profile asks of pods is asked of it, too, where a table says `host = true`; in names of artifacts
/// `{namespace}` is then `host` and `{pod}` is the program's name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Name of its process.
    pub name: String,
    /// Host name or address of its ports. Parameters in braces are replaced.
    pub address: String,
    /// Where its configuration file is, the first that exists: `{name}` is a parameter, `--flag` an argument of the
    /// process, anything else an absolute path.
    #[serde(default)]
    pub config: Vec<String>,
    /// Where the configuration goes.
    pub artifact: String,
    /// Where the variables go that it was started with; they are not read without it.
    #[serde(default)]
    pub environment: Option<String>,
    /// Variables whose values are kept; `*` stands for any part. Of all others the name is.
    #[serde(default)]
    pub keep_env: Vec<String>,
}

impl Program {
    /// Says what contradicts itself.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.name.is_empty() || self.name.contains('/') {
            return Err("[host.program] name must be the name of a process, without a directory".to_owned());
        }
        match self.config.iter().find(|place| !place.starts_with(['/', '{', '-'])) {
            Some(place) => Err(format!("[host.program] config `{place}` is no parameter, argument or absolute path")),
            None => Ok(()),
        }
    }
}
