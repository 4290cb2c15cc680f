//! Gives every artifact a path of its own, also on file systems that ignore case.

use std::collections::{HashMap, HashSet};

use crate::bundle::format::{FIRST, INDEX};
use crate::model::BundlePath;

/// The paths that are taken, in lower case.
pub(super) struct Names {
    files: HashSet<String>,
    dirs: HashSet<String>,
    /// The last number that a path got, so that many equal names do not cost a search each.
    numbers: HashMap<String, usize>,
}

impl Names {
    /// The files that the bundle itself brings are taken from the start.
    pub(super) fn new() -> Self {
        let files = FIRST.iter().chain([&INDEX]).map(|name| name.to_lowercase()).collect();
        Self { files, dirs: HashSet::new(), numbers: HashMap::new() }
    }

    /// Takes `path`, or the first free variant of it with a number.
    pub(super) fn take(&mut self, path: &BundlePath) -> BundlePath {
        let path = self.clear_parents(path);
        let lower = path.as_str().to_lowercase();
        if self.is_free(&lower) {
            return self.insert(path);
        }
        let mut n = self.numbers.get(&lower).copied().unwrap_or(1);
        loop {
            n += 1;
            let candidate = path.numbered(n);
            if self.is_free(&candidate.as_str().to_lowercase()) {
                self.numbers.insert(lower, n);
                return self.insert(candidate);
            }
        }
    }

    /// Numbers a directory that has the name of a file, because the two could not be unpacked side by side.
    fn clear_parents(&self, path: &BundlePath) -> BundlePath {
        let segments: Vec<&str> = path.as_str().split('/').collect();
        let mut built = String::new();
        for (i, segment) in segments.iter().enumerate() {
            let mut next = if built.is_empty() { (*segment).to_owned() } else { format!("{built}/{segment}") };
            if i + 1 < segments.len() {
                let wanted = BundlePath::portable(&next);
                let mut n = 1;
                while self.files.contains(&next.to_lowercase()) {
                    n += 1;
                    wanted.numbered(n).as_str().clone_into(&mut next);
                }
            }
            built = next;
        }
        BundlePath::portable(&built)
    }

    fn is_free(&self, lower: &str) -> bool {
        !self.files.contains(lower) && !self.dirs.contains(lower)
    }

    fn insert(&mut self, path: BundlePath) -> BundlePath {
        let lower = path.as_str().to_lowercase();
        for (at, _) in lower.match_indices('/') {
            if !self.dirs.contains(&lower[..at]) {
                self.dirs.insert(lower[..at].to_owned());
            }
        }
        self.files.insert(lower);
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(names: &mut Names, path: &str) -> String {
        names.take(&BundlePath::portable(path)).to_string()
    }

    #[test]
    fn equal_paths_and_paths_that_differ_in_case_get_numbers() {
        let mut names = Names::new();
        for (path, want) in [
            ("a/x.log", "a/x.log"),
            ("a/X.log", "a/X~2.log"),
            ("a/x.log", "a/x~3.log"),
            ("a/x~4.log", "a/x~4.log"),
            ("a/x.log", "a/x~5.log"),
            ("Manifest.json", "Manifest~2.json"),
        ] {
            assert_eq!(take(&mut names, path), want);
        }
    }

    #[test]
    fn a_file_and_a_directory_of_one_name_are_kept_apart() {
        let mut names = Names::new();
        assert_eq!(take(&mut names, "a/b"), "a/b");
        assert_eq!(take(&mut names, "a/b/c"), "a/b~2/c");
        assert_eq!(take(&mut names, "A"), "A~2");
        assert_eq!(take(&mut names, "summary.md/x"), "summary~2.md/x");
    }
}
