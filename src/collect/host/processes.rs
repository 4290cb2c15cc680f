//! Processes: who runs, since when, with how much memory and processor time. Never their environment.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use tokio::sync::mpsc;

use super::gather::{self, About};
use super::portable;
use super::process_stat::{self, Stat, TICKS};
use super::roots::{self, HostRoots};
use crate::collect::blocking;
use crate::collect::{CollectError, Done, Keep, Sink};
use crate::model::{Effect, time};
use crate::redact::Format;

pub(super) const ITEM: About = About {
    id: "host/processes",
    what: "Processes with owner, state, memory, processor time and arguments; never their environment",
    effect: Effect::Read,
    run,
};

/// Time between the two samples from which the processor usage is computed.
const SAMPLE: Duration = Duration::from_millis(500);
/// How long one process may take; reading one in uninterruptible sleep can hang.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rows in each of the rankings.
const TOP: usize = 30;

/// One line of `host/processes.json`.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Row {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) name: String,
    /// Letter of `ps`: R running, S sleeping, D uninterruptible, Z zombie, T stopped, I idle.
    pub(super) state: String,
    pub(super) user: Option<String>,
    pub(super) uid: Option<u32>,
    pub(super) started: Option<String>,
    /// Since boot or start, and of one processor: 200 is two processors.
    pub(super) cpu_percent: Option<f64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) swapped_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) oom_score: Option<i64>,
    pub(super) oom_score_adjustment: Option<i64>,
    pub(super) cgroup: Option<String>,
    pub(super) unit: Option<String>,
    /// Function of the kernel in which a process in state D waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) waits_in: Option<String>,
    pub(super) arguments: Option<String>,
}

fn run<'a>(roots: &'a HostRoots, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
    async move {
        let (send, rows) = mpsc::channel(256);
        let current = Arc::new(AtomicU32::new(0));
        let deadline = gather::deadline(sink);
        if roots.has_proc() {
            let hidden = roots.hidden();
            let (roots, at) = (roots.clone(), Arc::clone(&current));
            let reader = move || read_all(&roots, &at, &send);
            let reading = blocking::within("processes", deadline, reader);
            write(sink, rows, &current, reading, hidden).await
        } else {
            let reader = move || {
                for row in portable::processes() {
                    if send.blocking_send(row).is_err() {
                        break;
                    }
                }
                Ok(())
            };
            write(sink, rows, &current, blocking::within("processes", deadline, reader), None).await
        }
    }
    .boxed()
}

/// Writes rows as they come. When one process does not let itself be read, what came before it is kept.
async fn write(
    sink: &Sink,
    mut rows: mpsc::Receiver<Row>,
    current: &AtomicU32,
    reading: impl Future<Output = Result<std::io::Result<()>, CollectError>>,
    hidden: Option<String>,
) -> Result<Done, CollectError> {
    let mut ranking = Ranking::default();
    let mut artifact = sink.create("host/processes.json", Format::Json, Keep::All)?;
    let mut read = None;
    let patience = PATIENCE.min(gather::deadline(sink) / 2);
    let problem = {
        // Ends with the reader, or with the sentence that says which process hangs.
        let receive = async {
            loop {
                let Ok(next) = tokio::time::timeout(patience, rows.recv()).await else {
                    break Ok::<_, CollectError>(Some(format!(
                        "reading process {} gave no answer, so those behind it are missing (is it in state D?)",
                        current.load(Ordering::Relaxed)
                    )));
                };
                let Some(row) = next else { break Ok(None) };
                let mut line = serde_json::to_vec(&row).map_err(|e| CollectError::Failed(e.to_string()))?;
                line.push(b'\n');
                artifact.write(&line)?;
                ranking.add(row);
            }
        };
        tokio::pin!(receive, reading);
        loop {
            tokio::select! {
                ended = &mut receive => break ended?,
                result = &mut reading, if read.is_none() => match result {
                    Ok(result) => read = Some(result),
                    Err(error) => break Some(error.to_string()),
                },
            }
        }
    };
    if let Some(Err(error)) = read {
        return Err(CollectError::from_io("cannot list the processes", &error));
    }
    artifact.finish(None)?;
    sink.put("host/processes.txt", Format::Text, ranking.table().as_bytes())?;
    Ok(gather::outcome(&problem.into_iter().chain(hidden).collect::<Vec<_>>()))
}

fn read_all(roots: &HostRoots, current: &AtomicU32, rows: &mpsc::Sender<Row>) -> std::io::Result<()> {
    let boot = boot_time(roots);
    let users = roots.users();
    let stat_of = |pid: u32| process_stat::stat(&roots.proc_text(&format!("{pid}/stat"))?);
    let first: HashMap<u32, (u64, u64)> =
        roots.pids()?.into_iter().filter_map(|pid| stat_of(pid).map(|s| (pid, (s.started, s.cpu)))).collect();
    let begun = Instant::now();
    std::thread::sleep(SAMPLE);
    let second: Vec<(u32, Stat)> = roots.pids()?.into_iter().filter_map(|pid| Some((pid, stat_of(pid)?))).collect();
    let passed = begun.elapsed().as_secs_f64();
    for (pid, stat) in second {
        current.store(pid, Ordering::Relaxed);
        let usage = first.get(&pid).filter(|(started, _)| *started == stat.started).map(|(_, cpu)| {
            let percent = stat.cpu.saturating_sub(*cpu) as f64 * 100.0 / TICKS as f64 / passed;
            (percent * 10.0).round() / 10.0
        });
        let row = Row { cpu_percent: usage, ..read_one(roots, pid, &stat, boot, &users) };
        if rows.blocking_send(row).is_err() {
            break;
        }
    }
    Ok(())
}

/// Reads one process. It may end meanwhile; then what was not read is none.
fn read_one(
    roots: &HostRoots,
    pid: u32,
    stat: &Stat,
    boot: Option<DateTime<Utc>>,
    users: &HashMap<u32, String>,
) -> Row {
    let file = |name: &str| roots.proc_text(&format!("{pid}/{name}"));
    let status = file("status").map(|text| process_stat::status(&text)).unwrap_or_default();
    let cgroup = file("cgroup").and_then(|text| process_stat::cgroup(&text));
    let sleeps = stat.state == 'D';
    Row {
        pid,
        parent: stat.parent,
        name: stat.name.clone(),
        state: stat.state.to_string(),
        user: status.uid.and_then(|uid| users.get(&uid).cloned()),
        uid: status.uid,
        started: boot.and_then(|boot| {
            let since =
                chrono::Duration::try_milliseconds(i64::try_from(stat.started.checked_mul(1000)? / TICKS).ok()?)?;
            Some(time::rfc3339(boot.checked_add_signed(since)?))
        }),
        cpu_percent: None,
        cpu_seconds: Some(stat.cpu as f64 / TICKS as f64),
        resident_bytes: status.resident,
        virtual_bytes: status.size,
        swapped_bytes: status.swapped,
        threads: status.threads,
        open_files: std::fs::read_dir(roots.proc.join(format!("{pid}/fd"))).ok().map(|dir| dir.count() as u64),
        oom_score: file("oom_score").and_then(|t| t.parse().ok()),
        oom_score_adjustment: file("oom_score_adj").and_then(|t| t.parse().ok()),
        unit: cgroup.as_deref().and_then(process_stat::unit).map(str::to_owned),
        cgroup,
        waits_in: if sleeps { file("wchan").filter(|w| w != "0") } else { None },
        // The arguments lie in the memory of the process, which may be locked by what it waits for.
        arguments: if sleeps { None } else { arguments(roots, pid) },
    }
}

fn arguments(roots: &HostRoots, pid: u32) -> Option<String> {
    let raw = roots::bytes(&roots.proc.join(format!("{pid}/cmdline"))).ok()?;
    Some(process_stat::command_line(&raw)).filter(|line| !line.is_empty())
}

/// When the host started, from `/proc/stat`.
pub(super) fn boot_time(roots: &HostRoots) -> Option<DateTime<Utc>> {
    let stat = roots.proc_text("stat")?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())?;
    DateTime::from_timestamp(seconds, 0)
}

/// The heaviest processes and the stuck ones, for people.
#[derive(Default)]
struct Ranking {
    count: usize,
    rows: Vec<Row>,
    stuck: Vec<Row>,
    stuck_count: usize,
}

impl Ranking {
    fn add(&mut self, row: Row) {
        self.count += 1;
        if row.state == "D" || row.state == "Z" {
            self.stuck_count += 1;
            if self.stuck.len() < 200 {
                self.stuck.push(row.clone());
            }
        }
        self.rows.push(row);
        // Only what can still be among the first is kept, so that the memory does not grow with the host.
        if self.rows.len() > 20 * TOP {
            let memory: Vec<u32> = self.by_memory().iter().map(|r| r.pid).collect();
            let cpu: Vec<u32> = self.by_cpu().iter().map(|r| r.pid).collect();
            self.rows.retain(|r| memory.contains(&r.pid) || cpu.contains(&r.pid));
        }
    }

    fn by_memory(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|r| (std::cmp::Reverse(r.resident_bytes), r.pid));
        rows.truncate(TOP);
        rows
    }

    fn by_cpu(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by(|a, b| {
            let usage = |r: &Row| r.cpu_percent.unwrap_or(0.0);
            usage(b).total_cmp(&usage(a)).then(b.cpu_seconds.unwrap_or(0.0).total_cmp(&a.cpu_seconds.unwrap_or(0.0)))
        });
        rows.truncate(TOP);
        rows
    }

    fn table(&self) -> String {
        let mut out = format!("{} processes\n", self.count);
        let mut section = |title: &str, rows: &[&Row]| {
            let _ = write!(
                out,
                "\n{title}\n{:>8} {:>8} {:<12} S {:>7} {:>10} {:>12} {:>7}  COMMAND\n",
                "PID", "PARENT", "USER", "CPU%", "CPU s", "RSS KiB", "THREADS"
            );
            for r in rows {
                let user = r.user.clone().or(r.uid.map(|u| u.to_string())).unwrap_or_else(|| "-".to_owned());
                let _ = writeln!(
                    out,
                    "{:>8} {:>8} {user:<12} {} {:>7.1} {:>10.1} {:>12} {:>7}  {}{}",
                    r.pid,
                    r.parent,
                    r.state,
                    r.cpu_percent.unwrap_or(0.0),
                    r.cpu_seconds.unwrap_or(0.0),
                    r.resident_bytes.unwrap_or(0) >> 10,
                    r.threads.unwrap_or(0),
                    r.name,
                    r.waits_in.as_ref().map(|w| format!(" (waits in {w})")).unwrap_or_default(),
                );
            }
        };
        section("Most memory", &self.by_memory());
        section("Most processor time", &self.by_cpu());
        if self.stuck_count > 0 {
            let title = format!("Uninterruptible (D) or not reaped (Z): {}", self.stuck_count);
            section(&title, &self.stuck.iter().collect::<Vec<_>>());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pid: u32, resident: u64, cpu: f64, state: &str) -> Row {
        Row { pid, resident_bytes: Some(resident), cpu_percent: Some(cpu), state: state.to_owned(), ..Row::default() }
    }

    #[test]
    fn the_ranking_forgets_nobody_who_belongs_in_it() {
        let mut ranking = Ranking::default();
        for pid in 1..=5_000 {
            ranking.add(row(pid, u64::from(pid * 7919 % 5_000), f64::from(pid * 104_729 % 5_000), "S"));
        }
        assert!(ranking.rows.len() <= 20 * TOP);
        let memory: Vec<u64> = ranking.by_memory().iter().filter_map(|r| r.resident_bytes).collect();
        assert_eq!(memory, (5_000 - TOP as u64..5_000).rev().collect::<Vec<_>>());
        assert_eq!(ranking.by_cpu()[0].cpu_percent, Some(4_999.0));
    }

    #[test]
    fn stuck_processes_are_shown_with_what_they_wait_for() {
        let mut ranking = Ranking::default();
        ranking.add(Row { waits_in: Some("rpc_wait_bit_killable".to_owned()), ..row(9, 0, 0.0, "D") });
        let text = ranking.table();
        assert!(text.contains("(D) or not reaped (Z): 1") && text.contains("waits in rpc_wait"), "{text}");
    }
}
