//! `/proc/<pid>/stat`, `status` and `cgroup`.

/// Clock ticks a second in `stat`: 100 for user space on every architecture that Linux still has.
pub(super) const TICKS: u64 = 100;

/// What `stat` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) name: String,
    pub(super) state: char,
    pub(super) parent: u32,
    /// User and system time, in ticks.
    pub(super) cpu: u64,
    /// Ticks between boot and start.
    pub(super) started: u64,
}

/// Parses `stat`. The name stands in parentheses and may itself hold parentheses, spaces and line breaks.
pub(super) fn stat(text: &str) -> Option<Stat> {
    let open = text.find('(')?;
    let close = text.rfind(')')?;
    let name = text.get(open + 1..close)?.to_owned();
    let fields: Vec<&str> = text.get(close + 1..)?.split_ascii_whitespace().collect();
    let number = |i: usize| fields.get(i)?.parse::<u64>().ok();
    Some(Stat {
        name,
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        cpu: number(11)?.saturating_add(number(12)?),
        started: number(19)?,
    })
}

/// What `status` says that `stat` does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) uid: Option<u32>,
    pub(super) threads: Option<u64>,
    /// Resident memory in bytes; none for kernel threads.
    pub(super) resident: Option<u64>,
    /// Virtual memory in bytes.
    pub(super) size: Option<u64>,
    /// Swapped-out memory in bytes.
    pub(super) swapped: Option<u64>,
}

/// Parses `status`; what is missing or broken is none.
pub(super) fn status(text: &str) -> Status {
    let mut status = Status::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let first = value.split_ascii_whitespace().next();
        let number = || first?.parse::<u64>().ok();
        let kib = || number()?.checked_mul(1024);
        match key {
            // Real, effective, saved, file system: the effective one decides about rights.
            "Uid" => status.uid = value.split_ascii_whitespace().nth(1).and_then(|uid| uid.parse().ok()),
            "Threads" => status.threads = number(),
            "VmRSS" => status.resident = kib(),
            "VmSize" => status.size = kib(),
            "VmSwap" => status.swapped = kib(),
            _ => {}
        }
    }
    status
}

/// The path of the control group: that of version 2, or of the `systemd` or `memory` hierarchy of version 1.
pub(super) fn cgroup(text: &str) -> Option<String> {
    let entries: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            fields.next()?;
            Some((fields.next()?, fields.next()?))
        })
        .collect();
    let of = |wanted: &str| entries.iter().find(|(controllers, path)| *controllers == wanted && *path != "/");
    of("")
        .or_else(|| of("name=systemd"))
        .or_else(|| entries.iter().find(|(c, path)| c.split(',').any(|c| c == "memory") && *path != "/"))
        .or_else(|| entries.first())
        .map(|(_, path)| (*path).to_owned())
}

/// The systemd unit that a control group belongs to.
pub(super) fn unit(cgroup: &str) -> Option<&str> {
    cgroup.rsplit('/').find(|s| [".service", ".scope", ".socket", ".mount"].iter().any(|end| s.ends_with(end)))
}

/// The arguments as one line, as a shell would take them; those with white space are quoted. One line keeps an option beside
/// its value, which is how the redaction rules recognise `--password VALUE`.
pub(super) fn command_line(raw: &[u8]) -> String {
    let raw = raw.strip_suffix(&[0]).unwrap_or(raw);
    if raw.is_empty() {
        return String::new();
    }
    let quoted: Vec<String> = raw
        .split(|b| *b == 0)
        .map(|arg| {
            let arg = String::from_utf8_lossy(arg);
            if arg.is_empty() || arg.contains([' ', '\t', '\n', '\'', '"']) {
                format!("'{}'", arg.replace('\'', "'\\''"))
            } else {
                arg.into_owned()
            }
        })
        .collect();
    quoted.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &str =
        "42 (a) b (c) S 1 42 42 0 -1 4194560 500 0 3 0 7 5 0 0 20 0 3 0 1234 170000000 900 18446744073709551615 1 1 0";

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = stat(STAT).unwrap();
        assert_eq!(stat, Stat { name: "a) b (c".to_owned(), state: 'S', parent: 1, cpu: 12, started: 1234 });
    }

    #[test]
    fn status_takes_the_effective_user() {
        let status = status("Name:\tx\nUid:\t1000\t7\t0\t0\nThreads:\t3\nVmRSS:\t  2 kB\nVmSize:\tmany kB\n");
        assert_eq!(status.uid, Some(7));
        assert_eq!((status.threads, status.resident, status.size), (Some(3), Some(2048), None));
    }

    #[test]
    fn units_are_found_in_both_versions_of_control_groups() {
        let v2 = cgroup("0::/system.slice/docker.service\n").unwrap();
        assert_eq!(unit(&v2), Some("docker.service"));
        let v1 = cgroup("9:name=systemd:/user.slice/session-1.scope\n4:memory,x:/m\n0::/\n").unwrap();
        assert_eq!(unit(&v1), Some("session-1.scope"));
        assert_eq!(cgroup("4:cpu,memory:/kubepods/pod1/abc\n0::/\n").unwrap(), "/kubepods/pod1/abc");
        assert_eq!(cgroup("0::/\n").as_deref(), Some("/"));
        assert_eq!(unit("/"), None);
    }

    #[test]
    fn arguments_become_one_line() {
        assert_eq!(command_line(b"prog\0--name\0a b\0\0it's\0"), r"prog --name 'a b' '' 'it'\''s'");
        assert_eq!(command_line(b""), "");
        assert_eq!(command_line(b"nginx: worker process"), "'nginx: worker process'");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,300}", raw in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = stat(&text);
            let _ = status(&text);
            let _ = cgroup(&text);
            let _ = command_line(&raw);
        }

        #[test]
        fn any_name_is_read_back(name in "[^\u{0}]{0,15}") {
            let text = STAT.replace("a) b (c", &name);
            let stat = stat(&text).unwrap();
            prop_assert_eq!(stat.name, name);
            prop_assert_eq!(stat.cpu, 12);
        }
    }
}
