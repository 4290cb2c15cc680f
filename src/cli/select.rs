//! `--only` and `--skip`: globs over item ids.

use std::sync::Arc;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::output::usage;
use crate::collect::{Item, Lane};
use crate::model::ItemId;

/// Families of items that other items plan during the run.
const SPAWNED: [&str; 7] = ["exec", "host", "http", "logs", "services", "storage", "usage"];

/// Flags that narrow a plan.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "What to collect")]
pub(super) struct SelectArgs {
    /// Only items whose id matches this glob, such as 'logs/**' or 'host/*'; repeat for several
    #[arg(long, value_name = "ITEM-GLOB")]
    only: Vec<String>,
    /// No items whose id matches this glob; repeat for several
    #[arg(long, value_name = "ITEM-GLOB")]
    skip: Vec<String>,
}

/// The resolved filter.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    only: Option<GlobSet>,
    skip: GlobSet,
    families: Vec<String>,
}

impl Selection {
    /// Compiles the globs.
    pub(super) fn new(args: &SelectArgs) -> anyhow::Result<Self> {
        let families = args.only.iter().map(|g| g.split('/').next().unwrap_or_default().to_owned()).collect();
        let only = if args.only.is_empty() { None } else { Some(compile("--only", &args.only)?) };
        Ok(Self { only, skip: compile("--skip", &args.skip)?, families })
    }

    /// Whether the item is wanted. What finds other items runs whatever `--only` says, because the logs of pods are
    /// planned by the list of pods; `--skip` still holds.
    pub(super) fn wants(&self, item: &dyn Item) -> bool {
        self.wants_id(item.id(), item.lane() == Lane::Discover)
    }

    fn wants_id(&self, id: &ItemId, discovers: bool) -> bool {
        let chosen = self.only.as_ref().is_none_or(|only| discovers || only.is_match(id.as_str()));
        chosen && !self.skip.is_match(id.as_str())
    }

    /// Whether anything that the user named can be there: an item of the plan, or one that an item plans later.
    pub(super) fn may_match(&self, items: &[Arc<dyn Item>]) -> bool {
        let later = self.families.iter().any(|f| SPAWNED.contains(&f.as_str()) || f.contains(['*', '?', '[', '{']));
        later || items.iter().any(|item| self.wants_id(item.id(), false))
    }

    /// Whether nothing but items of this host and of services is wanted, so that no cluster needs to be reached.
    pub(super) fn only_host(&self) -> bool {
        !self.families.is_empty() && self.families.iter().all(|f| f == "host" || f == "services")
    }

    /// Whether items of this host were asked for.
    pub(super) fn names_host(&self) -> bool {
        self.families.iter().any(|f| f == "host")
    }
}

fn compile(flag: &str, globs: &[String]) -> anyhow::Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        // `*` crosses slashes, so that `logs/*` means all logs.
        let glob = GlobBuilder::new(glob)
            .literal_separator(false)
            .build()
            .map_err(|e| usage(format!("{flag} '{glob}': {} (try: {flag} 'logs/*'; ids: casefile plan)", e.kind())))?;
        set.add(glob);
    }
    Ok(set.build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(only: &[&str], skip: &[&str]) -> Selection {
        let own = |globs: &[&str]| globs.iter().map(|g| (*g).to_owned()).collect();
        Selection::new(&SelectArgs { only: own(only), skip: own(skip) }).unwrap()
    }

    #[test]
    fn a_star_crosses_slashes_and_skip_wins() {
        let wants = |s: &Selection, id: &str| s.wants_id(&ItemId::new(id), false);
        let all = selection(&[], &[]);
        assert!(wants(&all, "logs/a/b/c"));
        let logs = selection(&["logs/*"], &["logs/kube-system/*"]);
        assert!(wants(&logs, "logs/a/b/c"));
        assert!(!wants(&logs, "logs/kube-system/b/c"));
        assert!(!wants(&logs, "host/disks"));
        assert!(logs.wants_id(&ItemId::new("kubernetes/pods/a"), true));
    }

    #[test]
    fn host_items_alone_need_no_cluster() {
        assert!(selection(&["host/*"], &[]).only_host());
        assert!(!selection(&["host/*", "logs/*"], &[]).only_host());
        assert!(!selection(&[], &[]).only_host());
    }

    #[test]
    fn a_broken_glob_is_a_usage_error_that_names_the_flag() {
        let args = SelectArgs { only: vec!["a[".to_owned()], skip: Vec::new() };
        let error = Selection::new(&args).unwrap_err().to_string();
        assert!(error.contains("--only 'a['") && error.contains("casefile plan"), "{error}");
    }
}
