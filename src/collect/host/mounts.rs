//! `/proc/<pid>/mountinfo`.

/// One mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where it is mounted, with the kernel's escapes resolved.
    pub(super) point: Vec<u8>,
    /// `major:minor` of the device.
    pub(super) device: String,
    /// The directory of the file system that is mounted; `/` unless it is a bind mount.
    pub(super) subtree: String,
    /// Options of this mount.
    pub(super) options: String,
    /// Type of the file system.
    pub(super) fstype: String,
    /// Device or remote path.
    pub(super) source: String,
    /// Options of the file system.
    pub(super) super_options: String,
}

/// Parses mountinfo; lines that are not of its form are counted and left out.
pub(super) fn parse(text: &[u8]) -> (Vec<Mount>, usize) {
    let mut broken = 0;
    let mounts = text
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .filter_map(|line| {
            let mount = parse_line(line);
            broken += usize::from(mount.is_none());
            mount
        })
        .collect();
    (mounts, broken)
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|b| *b == b' ');
    let device = text(fields.nth(2)?);
    let subtree = text(fields.next()?);
    let point = unescape(fields.next()?);
    let options = text(fields.next()?);
    // Between the options and the dash stand any number of optional fields.
    fields.find(|field| *field == b"-")?;
    let fstype = text(fields.next()?);
    let source = text(fields.next()?);
    let super_options = text(fields.next().unwrap_or_default());
    (!point.is_empty()).then_some(Mount { point, device, subtree, options, fstype, source, super_options })
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

/// Resolves `\040` and the other octal escapes; what is no escape stays.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal =
            tail.get(..3).filter(|d| byte == b'\\' && d[0] <= b'3' && d.iter().all(|d| (b'0'..=b'7').contains(d)));
        if let Some(digits) = octal {
            out.push(digits.iter().fold(0, |value: u8, d| (value << 3) | (d - b'0')));
            rest = &tail[3..];
        } else {
            out.push(byte);
            rest = tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn optional_fields_and_escapes_are_understood() {
        let text = b"36 35 98:0 /sub /mnt/a\\040b rw,noatime master:1 shared:2 - ext4 /dev/root rw,errors=continue\n\
            22 1 0:21 / /proc rw - proc proc rw\nbroken line\n40 1 0:99 / /nodash rw shared:1 ext4 x y\n";
        let (mounts, broken) = parse(text);
        assert_eq!(broken, 2);
        assert_eq!(mounts.len(), 2);
        let first = &mounts[0];
        assert_eq!(first.point, b"/mnt/a b");
        assert_eq!((first.device.as_str(), first.subtree.as_str()), ("98:0", "/sub"));
        assert_eq!((first.fstype.as_str(), first.source.as_str()), ("ext4", "/dev/root"));
        assert_eq!(first.super_options, "rw,errors=continue");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let (mounts, broken) = parse(&bytes);
            let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).count();
            prop_assert_eq!(mounts.len() + broken, lines);
        }

        #[test]
        fn escapes_round_trip(point in proptest::collection::vec(any::<u8>(), 1..40)) {
            let escaped: Vec<u8> = point.iter().flat_map(|b| format!("\\{b:03o}").into_bytes()).collect();
            prop_assert_eq!(unescape(&escaped), point);
        }
    }
}
