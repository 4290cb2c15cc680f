//! Mounted file systems, their space and inodes.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};

use super::gather::{self, About, Gathered};
use super::mounts::{self, Mount};
use super::portable;
use super::roots::{self, HostRoots};
use crate::collect::blocking;
use crate::collect::{CollectError, Done, Sink};
use crate::model::Effect;

pub(super) const ITEM: About = About {
    id: "host/disks",
    what: "Mounted file systems with their space and inodes, each asked within its own deadline",
    effect: Effect::Read,
    run,
};

/// How long one file system has for its answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// File systems that are asked at the same time.
const PARALLEL: usize = 8;
/// After this many hung file systems no other is asked, because each leaves a thread behind.
const HUNG_MAX: usize = 32;
/// Mounts that are listed.
const MOUNTS_MAX: usize = 5_000;

/// Space of one file system, in bytes and inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Space {
    size: u64,
    used: u64,
    available: u64,
    inodes: u64,
    inodes_used: u64,
}

fn run<'a>(roots: &'a HostRoots, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
    async move {
        if !roots.has_proc() {
            return gather::run(sink, "disks", || Ok(portable::disks())).await;
        }
        let path = roots.proc.join("self/mountinfo");
        let read = blocking::within("mountinfo", gather::deadline(sink), move || roots::bytes(&path)).await?;
        let text = read.map_err(|e| CollectError::from_io("cannot list the mounts", &e))?;
        let (mut mounts, broken) = mounts::parse(&text);
        let mut gathered = Gathered::default();
        if broken > 0 {
            gathered.problem(format!("{broken} lines of mountinfo are not understood"));
        }
        if mounts.len() > MOUNTS_MAX {
            gathered.problem(format!("{} of {} mounts are listed", MOUNTS_MAX, mounts.len()));
            mounts.truncate(MOUNTS_MAX);
        }
        let hung = AtomicUsize::new(0);
        let answers: Vec<(Mount, Result<Space, String>)> =
            stream::iter(mounts).map(|mount| ask(mount, &roots.root, &hung)).buffered(PARALLEL).collect().await;
        for (mount, space) in &answers {
            let Err(reason) = space else { continue };
            // A user's own FUSE mount refuses everybody else, root too; its row says so.
            let private = mount.fstype.starts_with("fuse") && reason.contains("try: run as root");
            if !private && mount.fstype != "autofs" {
                gathered.problem(format!("{}: {reason}", String::from_utf8_lossy(&mount.point)));
            }
        }
        gathered.json("host/disks.json", &json!({ "mounts": answers.iter().map(row).collect::<Vec<_>>() }));
        gathered.text("host/disks.txt", table(&answers));
        gathered.write(sink)
    }
    .boxed()
}

async fn ask(mount: Mount, root: &std::path::Path, hung: &AtomicUsize) -> (Mount, Result<Space, String>) {
    if mount.fstype == "autofs" {
        // Asking would mount what lies behind, and that would change the host.
        return (mount, Err("not asked, an automounter waits here".to_owned()));
    }
    if hung.load(Ordering::Relaxed) >= HUNG_MAX {
        return (mount, Err(format!("not asked, because {HUNG_MAX} others gave no answer")));
    }
    let point = PathBuf::from(OsString::from_vec(mount.point.clone()));
    let point = root.join(point.strip_prefix("/").unwrap_or(&point));
    let answer = match blocking::within("statvfs", PATIENCE, move || space(&point)).await {
        Ok(Ok(space)) => Ok(space),
        Ok(Err(rustix::io::Errno::ACCESS)) => Err("permission denied (try: run as root)".to_owned()),
        Ok(Err(error)) => Err(std::io::Error::from(error).to_string()),
        Err(CollectError::TimedOut(_)) => {
            hung.fetch_add(1, Ordering::Relaxed);
            Err(format!(
                "no answer within {} (is its server reachable? see processes in state D)",
                humantime::format_duration(PATIENCE)
            ))
        }
        Err(error) => Err(error.to_string()),
    };
    (mount, answer)
}

fn space(point: &std::path::Path) -> rustix::io::Result<Space> {
    let s = rustix::fs::statvfs(point)?;
    let unit = if s.f_frsize == 0 { s.f_bsize } else { s.f_frsize };
    Ok(Space {
        size: s.f_blocks.saturating_mul(unit),
        used: s.f_blocks.saturating_sub(s.f_bfree).saturating_mul(unit),
        available: s.f_bavail.saturating_mul(unit),
        inodes: s.f_files,
        inodes_used: s.f_files.saturating_sub(s.f_ffree),
    })
}

/// Rounded up, as `df` does, so that a file system is never shown emptier than it is.
fn percent(used: u64, of: u64) -> Option<u64> {
    (of > 0).then(|| u64::try_from((u128::from(used) * 100).div_ceil(u128::from(of))).unwrap_or(u64::MAX))
}

fn row((mount, space): &(Mount, Result<Space, String>)) -> Value {
    let read_only = mount.options.split(',').chain(mount.super_options.split(',')).any(|option| option == "ro");
    let mut row = json!({
        "mount_point": String::from_utf8_lossy(&mount.point),
        "source": mount.source,
        "type": mount.fstype,
        "device": mount.device,
        "subtree": mount.subtree,
        "options": mount.options,
        "super_options": mount.super_options,
        "read_only": read_only,
    });
    match space {
        Ok(s) => {
            row["size_bytes"] = json!(s.size);
            row["used_bytes"] = json!(s.used);
            row["available_bytes"] = json!(s.available);
            row["used_percent"] = json!(percent(s.used, s.used.saturating_add(s.available)));
            row["inodes"] = json!(s.inodes);
            row["inodes_used"] = json!(s.inodes_used);
            row["inodes_used_percent"] = json!(percent(s.inodes_used, s.inodes));
        }
        Err(reason) => row["error"] = json!(reason),
    }
    row
}

/// Like `df`, with inodes; file systems without blocks, such as `proc`, are left out.
fn table(answers: &[(Mount, Result<Space, String>)]) -> String {
    let mut out = format!(
        "{:<30} {:<10} {:>12} {:>12} {:>12} {:>5} {:>12} {:>6}  {}\n",
        "Filesystem", "Type", "KiB", "Used", "Available", "Use%", "Inodes", "IUse%", "Mounted on"
    );
    for (mount, space) in answers {
        let point = String::from_utf8_lossy(&mount.point);
        let shown = |p: Option<u64>| p.map_or_else(|| "-".to_owned(), |p| format!("{p}%"));
        let line = match space {
            Ok(s) if s.size == 0 => continue,
            Ok(s) => format!(
                "{:<30} {:<10} {:>12} {:>12} {:>12} {:>5} {:>12} {:>6}  {point}",
                mount.source,
                mount.fstype,
                s.size >> 10,
                s.used >> 10,
                s.available >> 10,
                shown(percent(s.used, s.used.saturating_add(s.available))),
                s.inodes,
                shown(percent(s.inodes_used, s.inodes)),
            ),
            Err(reason) => format!("{:<30} {:<10} {reason}  {point}", mount.source, mount.fstype),
        };
        let _ = writeln!(out, "{line}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(point: &str, fstype: &str) -> Mount {
        Mount {
            point: point.as_bytes().to_vec(),
            device: "0:1".to_owned(),
            subtree: "/".to_owned(),
            options: "rw".to_owned(),
            fstype: fstype.to_owned(),
            source: "/dev/x".to_owned(),
            super_options: "ro".to_owned(),
        }
    }

    #[test]
    fn percentages_are_rounded_up_and_never_divide_by_zero() {
        assert_eq!(percent(1, 1000), Some(1));
        assert_eq!(percent(1000, 1000), Some(100));
        assert_eq!(percent(u64::MAX, u64::MAX), Some(100));
        assert_eq!(percent(0, 0), None);
    }

    #[tokio::test]
    async fn an_automounter_is_not_woken_and_errors_stay_with_their_mount() {
        let hung = AtomicUsize::new(0);
        let root = std::path::Path::new("/");
        let (_, answer) = ask(mount("/", "autofs"), root, &hung).await;
        assert!(answer.unwrap_err().contains("automounter"));
        let (_, answer) = ask(mount("/no/such/place", "ext4"), root, &hung).await;
        assert!(answer.unwrap_err().contains("No such file"));
        let (lost, answer) = (mount("/lost", "nfs4"), Err("no answer".to_owned()));
        let text = table(&[(lost.clone(), answer.clone())]);
        assert!(text.contains("no answer  /lost"), "{text}");
        assert_eq!(row(&(lost, answer))["error"], "no answer");
    }

    #[tokio::test]
    async fn a_host_with_many_dead_servers_is_not_asked_for_ever() {
        let hung = AtomicUsize::new(HUNG_MAX);
        let (_, answer) = ask(mount("/", "nfs4"), std::path::Path::new("/"), &hung).await;
        assert!(answer.unwrap_err().contains("not asked"));
    }
}
