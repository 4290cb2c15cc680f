//! What `ls -lnRA --full-time` and `aws s3 ls --recursive` print, as objects.

use crate::collect::s3::{Listing, Object};

/// Files below `root`, as GNU coreutils and busybox list them. Directories, links and devices are left out.
pub(super) fn files(root: &str, output: &str, limit: usize) -> Listing {
    let root = root.trim_end_matches('/');
    let mut listing = Listing { complete: true, requests: 1, ..Listing::default() };
    let mut folder = String::new();
    for line in output.lines() {
        if line.is_empty() || line.starts_with("total ") {
            continue;
        }
        if let Some(header) = line.strip_suffix(':')
            && let Some(below) = header.strip_prefix(root)
        {
            below.trim_start_matches('/').clone_into(&mut folder);
            continue;
        }
        if matches!(line.as_bytes()[0], b'd' | b'l' | b'c' | b'b' | b'p' | b's') {
            continue;
        }
        let Some(mut object) = file(line) else {
            listing.unreadable += 1;
            continue;
        };
        if listing.objects.len() >= limit {
            listing.complete = false;
            break;
        }
        if !folder.is_empty() {
            object.name = format!("{folder}/{}", object.name);
        }
        listing.objects.push(object);
    }
    listing
}

/// `-rw-------    1 0   0   91 2026-11-21 07:00:03.861637000 +0000 name`; busybox has no fraction.
fn file(line: &str) -> Option<Object> {
    let (mode, rest) = word(line)?;
    if mode.len() < 10 || !mode.starts_with('-') {
        return None;
    }
    let (_links, rest) = word(rest)?;
    let (_user, rest) = word(rest)?;
    let (_group, rest) = word(rest)?;
    let (size, rest) = word(rest)?;
    let (day, rest) = word(rest)?;
    let (time, rest) = word(rest)?;
    let (zone, rest) = word(rest)?;
    // One space stands before the name; more belong to it.
    let name = rest.strip_prefix(' ')?;
    Some(Object {
        name: name.to_owned(),
        size: size.parse().ok()?,
        modified: utc(day, time, zone),
        class: None,
        mode: Some(mode.to_owned()),
    })
}

/// `2026-11-21 07:00:03   91 PRIV-p1/SigningKey/60b7...`, in the time of the pod.
pub(super) fn objects(prefix: &str, output: &str, limit: usize) -> Listing {
    let mut listing = Listing { complete: true, requests: 1, ..Listing::default() };
    for line in output.lines().filter(|l| !l.trim().is_empty()) {
        let parsed = (|| {
            let (day, rest) = word(line)?;
            let (time, rest) = word(rest)?;
            let (size, rest) = word(rest)?;
            let name = rest.strip_prefix(' ')?;
            Some(Object {
                name: name.strip_prefix(prefix).unwrap_or(name).to_owned(),
                size: size.parse().ok()?,
                modified: utc(day, time, "+0000"),
                class: None,
                mode: None,
            })
        })();
        match parsed {
            Some(_) if listing.objects.len() >= limit => {
                listing.complete = false;
                break;
            }
            Some(object) => listing.objects.push(object),
            None => listing.unreadable += 1,
        }
    }
    listing
}

/// The first word and what stands behind it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(' ');
    let end = text.find(' ').unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn utc(day: &str, time: &str, zone: &str) -> Option<String> {
    let text = format!("{day} {time} {zone}");
    let at = chrono::DateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f %z").ok()?;
    Some(at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_kinds_of_ls_are_read() {
        let gnu = "/keys/PRIV-p1:\ntotal 8\ndrwxr-xr-x 2 0 0 4096 2026-11-21 07:00:03.000000000 +0000 SigningKey\n\n/keys/PRIV-p1/SigningKey:\ntotal 4\n-rw------- 1 0 0 91 2026-11-21 07:00:03.861637000 +0000 60b7\n-rw-r--r-- 1 0 0 0 2026-11-21 08:00:03.000000000 +0100 with space\n";
        let busybox = "/keys/PRIV-p1/SigningKey:\ntotal 4\n-rw-------    1 0        0               91 2026-11-21 07:00:03 +0000 60b7\n-rw-r--r--    1 0        0                0 2026-11-21 08:00:03 +0100 with space\n";
        for output in [gnu, busybox] {
            let listing = files("/keys/PRIV-p1/", output, 10);
            let shown: Vec<_> =
                listing.objects.iter().map(|o| (o.name.as_str(), o.size, o.modified.as_deref().unwrap())).collect();
            let want =
                [("SigningKey/60b7", 91, "2026-11-21T07:00:03Z"), ("SigningKey/with space", 0, "2026-11-21T07:00:03Z")];
            assert_eq!(shown, want);
            assert!(listing.complete && listing.unreadable == 0);
            assert_eq!(listing.objects[0].mode.as_deref(), Some("-rw-------"));
        }
        assert!(!files("/keys/PRIV-p1", gnu, 1).complete);
    }

    #[test]
    fn what_the_aws_program_prints_is_read() {
        let output = "2026-11-21 07:00:03         91 PRIV-p1/SigningKey/60b7\n2026-11-21 07:00:04    2787193 PRIV-p1/a b\nwarning: x\n";
        let listing = objects("PRIV-p1/", output, 10);
        assert_eq!(listing.objects[0].name, "SigningKey/60b7");
        assert_eq!((listing.objects[1].name.as_str(), listing.objects[1].size), ("a b", 2_787_193));
        assert_eq!(listing.unreadable, 1);
    }

    proptest! {
        #[test]
        fn any_output_is_read(text in "[-drwx 0-9:.\\n/a-zé]{0,200}") {
            let _ = files("/a", &text, 5);
            let _ = objects("a/", &text, 5);
        }
    }
}
