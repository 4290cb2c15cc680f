//! The rules that are part of the program.

use super::Problem;
use super::load::{Source, parse};

/// Name and text of each built-in rule file. A test keeps the table equal to the folder.
const FILES: [(&str, &str); 8] = [
    ("cloud.toml", include_str!("../../../redaction-rules/cloud.toml")),
    ("commands.toml", include_str!("../../../redaction-rules/commands.toml")),
    ("forges.toml", include_str!("../../../redaction-rules/forges.toml")),
    ("infrastructure.toml", include_str!("../../../redaction-rules/infrastructure.toml")),
    ("platforms.toml", include_str!("../../../redaction-rules/platforms.toml")),
    ("services.toml", include_str!("../../../redaction-rules/services.toml")),
    ("tools.toml", include_str!("../../../redaction-rules/tools.toml")),
    ("wallet.toml", include_str!("../../../redaction-rules/wallet.toml")),
];

pub(super) fn sources() -> Result<Vec<Source>, Problem> {
    FILES.iter().map(|(name, text)| parse(name, (*text).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_folder() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/redaction-rules");
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|n| n.ends_with(".toml"))
            .collect();
        names.sort();
        assert_eq!(names, FILES.map(|(n, _)| n.to_owned()));
    }
}
