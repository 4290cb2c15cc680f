//! State and journal of the systemd units that the profile names.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::command::CommandLine;
use super::gather;
use super::kernel_log::before;
use super::roots::HostRoots;
use crate::collect::{CollectError, Done, Item, Keep, Lane, Limits, Sink};
use crate::model::{Effect, ItemId, Outcome};
use crate::profile::Profile;

/// Units that are read; a pattern of a profile should name far fewer.
const UNITS_MAX: usize = 200;
/// Longest time that systemd may take to say which units it knows.
const DETECT_MAX: Duration = Duration::from_secs(5);
/// Bytes of one unit's properties.
const PROPERTIES_CAP: u64 = 1 << 20;

/// Properties of a unit that tell how it does. `Environment` and the command lines with their secrets are not asked for.
const PROPERTIES: &str = "Id,Names,Description,LoadState,LoadError,ActiveState,SubState,UnitFileState,FragmentPath,DropInPaths,\
Result,ConditionResult,NRestarts,Restart,RestartUSec,ExecMainPID,ExecMainCode,ExecMainStatus,ExecMainStartTimestamp,ExecMainExitTimestamp,\
MainPID,StatusText,StatusErrno,StateChangeTimestamp,ActiveEnterTimestamp,ActiveExitTimestamp,InactiveEnterTimestamp,\
MemoryCurrent,MemoryPeak,MemoryMax,MemoryHigh,CPUUsageNSec,CPUQuotaPerSecUSec,TasksCurrent,TasksMax,LimitNOFILE,LimitMEMLOCK,LimitCORE,\
OOMPolicy,User,Group,Slice,ControlGroup,Requires,Wants,After,TimeoutStartUSec,TimeoutStopUSec,WatchdogUSec";

/// Finds the units that match the profile's names and patterns, and plans one item for each.
pub(super) struct FindUnits {
    id: ItemId,
    patterns: Vec<String>,
    roots: HostRoots,
}

impl FindUnits {
    pub(super) fn new(patterns: Vec<String>, roots: HostRoots) -> Self {
        Self { id: ItemId::new("host/units"), patterns, roots }
    }

    async fn find(&self, sink: &Sink) -> Result<Done, CollectError> {
        if !self.roots.root.join("run/systemd/system").is_dir() {
            return Err(CollectError::NotApplicable("systemd does not run here".to_owned()));
        }
        let deadline = gather::deadline(sink) / 2;
        let mut units = BTreeSet::new();
        // The first knows what is loaded, generated units too; the second what is installed and was never started.
        for args in [&["list-units", "--all", "--full", "--plain"][..], &["list-unit-files", "--full"]] {
            let args = args.iter().copied().chain(["--no-legend", "--no-pager", "--"]);
            let args = args.chain(self.patterns.iter().map(String::as_str));
            let command = CommandLine::new(&self.roots, deadline, "systemctl", args);
            sink.attempt();
            let (ended, output) = command.capture(1 << 20).await?;
            units.extend(unit_names(&String::from_utf8_lossy(&output)));
            // list-unit-files says 1 when nothing matches.
            if !ended.success() && !ended.stderr.trim().is_empty() {
                return Err(CollectError::Failed(format!("`systemctl`: {}", ended.complaint())));
            }
        }
        let found = units.len();
        if found == 0 {
            let patterns = self.patterns.join(", ");
            return Err(CollectError::NotApplicable(format!("none of these units is known here: {patterns}")));
        }
        let items = units
            .into_iter()
            .take(UNITS_MAX)
            .map(|unit| Arc::new(Unit::new(unit, self.roots.clone())) as Arc<dyn Item>)
            .collect();
        if found > UNITS_MAX {
            let reason = format!("{UNITS_MAX} of {found} matching units are read (try: narrower names in the profile)");
            return Ok(Done::with(Outcome::Truncated, reason).and_spawn(items));
        }
        Ok(Done::with(Outcome::Ok, format!("{found} units")).and_spawn(items))
    }
}

/// The first profile one of whose own units is known here, and that unit. None where systemd does not run.
pub(super) async fn detect<'p>(candidates: &'p [Profile], roots: &HostRoots) -> Option<(&'p Profile, String)> {
    if !roots.root.join("run/systemd/system").is_dir() {
        return None;
    }
    for profile in candidates.iter().filter(|p| !p.host.detect.is_empty()) {
        for args in [&["list-units", "--all", "--full", "--plain"][..], &["list-unit-files", "--full"]] {
            let args = args.iter().copied().chain(["--no-legend", "--no-pager", "--"]);
            let args = args.chain(profile.host.detect.iter().map(String::as_str));
            let command = CommandLine::new(roots, DETECT_MAX, "systemctl", args);
            let Ok((_, output)) = command.capture(1 << 20).await else { return None };
            if let Some(unit) = unit_names(&String::from_utf8_lossy(&output)).into_iter().next() {
                return Some((profile, unit));
            }
        }
    }
    None
}

impl Item for FindUnits {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "host/units"
    }

    fn describe(&self) -> String {
        format!("systemd units that match {}", self.patterns.join(", "))
    }

    fn lane(&self) -> Lane {
        Lane::Discover
    }

    fn effect(&self) -> Effect {
        Effect::Command
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.find(sink).boxed()
    }
}

/// The first column. A failed unit has a dot or, outside of UTF-8, a star before its name, and a template without an instance cannot be asked.
fn unit_names(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.is_ascii() && *word != "*"))
        .filter(|name| name.contains('.') && !name.contains("@.") && !name.starts_with('-') && !name.contains('/'))
        .map(str::to_owned)
        .collect()
}

/// One unit.
struct Unit {
    id: ItemId,
    name: String,
    roots: HostRoots,
}

impl Unit {
    fn new(name: String, roots: HostRoots) -> Self {
        Self { id: ItemId::new(format!("host/units/{name}")), name, roots }
    }

    async fn read(&self, sink: &Sink) -> Result<Done, CollectError> {
        let deadline = gather::deadline(sink) / 2;
        let mut problems = Vec::new();
        let show = ["show", "--no-pager", "-p", PROPERTIES, "--", &self.name];
        let show = CommandLine::new(&self.roots, deadline, "systemctl", show);
        sink.attempt();
        let ended = show.stream(sink, &format!("host/units/{}.txt", self.name), Keep::Oldest(PROPERTIES_CAP)).await?;
        if !ended.success() {
            problems.push(format!("systemctl show: {}", ended.complaint()));
        }
        let shown = ended.success();

        let journal = CommandLine::new(&self.roots, deadline, "journalctl", journal(&self.name, sink.limits()));
        let path = format!("host/journal/{}.log", self.name);
        sink.attempt();
        match journal.stream(sink, &path, Keep::Newest(sink.limits().log_limit)).await {
            // journalctl succeeds with a hint on standard error when the user may see nothing.
            Ok(ended) if ended.refused() || (!ended.success() && ended.bytes == 0) => {
                let reason = format!("the journal of {}: {} (try: run as root)", self.name, ended.complaint());
                if !shown {
                    return Err(CollectError::Failed(format!("{}; {reason}", problems.join("; "))));
                }
                let outcome = if ended.refused() { Outcome::Forbidden } else { Outcome::Failed };
                return Ok(Done::with(outcome, reason));
            }
            Ok(ended) if !ended.success() => problems.push(format!("journalctl: {}", ended.complaint())),
            Ok(_) => {}
            Err(CollectError::NotApplicable(reason)) => problems.push(reason),
            Err(error) => return Err(error),
        }
        Ok(gather::outcome(&problems))
    }
}

/// Arguments of `journalctl` for one unit.
fn journal(unit: &str, limits: &Limits) -> Vec<String> {
    let mut args = vec!["-u".to_owned(), unit.to_owned()];
    args.extend(["-o", "short-iso-precise", "--no-pager", "--utc", "-n"].map(str::to_owned));
    let enough = lines_enough(limits.log_limit);
    args.push(limits.tail.map_or(enough, |tail| tail.min(enough)).to_string());
    if let Some(since) = limits.since.and_then(|age| before(age, "%Y-%m-%d %H:%M:%S UTC")) {
        args.extend(["--since".to_owned(), since]);
    }
    args
}

/// Lines that surely fill a limit in bytes. Time, host and name alone take more than 40 bytes of each line, and a journal of
/// many GiB need not be read from its beginning.
pub(super) fn lines_enough(limit: u64) -> u64 {
    limit / 40 + 1
}

impl Item for Unit {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "host/units"
    }

    fn describe(&self) -> String {
        format!("State and journal of {}", self.name)
    }

    fn lane(&self) -> Lane {
        Lane::Logs
    }

    fn effect(&self) -> Effect {
        Effect::Command
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.read(sink).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_first_column_without_templates_and_tricks() {
        let text = "docker.service loaded active running Docker\n● kms-1.service loaded failed failed x\n\
            * kms-2.service loaded failed failed x\nkms-@.service disabled\nkms-@3.service enabled\n-x.service loaded\n../a.service x\nfoo\n\n";
        assert_eq!(unit_names(text), ["docker.service", "kms-1.service", "kms-2.service", "kms-@3.service"]);
    }
    #[test]
    fn the_journal_is_asked_for_its_end_only() {
        let args = |limits: &Limits| journal("a.service", limits).join(" ");
        let limits = Limits { log_limit: 4_000, ..Limits::default() };
        assert!(args(&limits).ends_with("-n 101"), "{}", args(&limits));
        let limits = Limits { tail: Some(7), since: Some(std::time::Duration::from_secs(60)), ..limits };
        assert!(args(&limits).contains("-n 7 --since 20") && args(&limits).ends_with(" UTC"), "{}", args(&limits));
    }
}
