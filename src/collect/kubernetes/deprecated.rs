//! Deprecated versions of APIs that clients still ask the API server for: one metric of the server's own.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::api::Cluster;
use crate::bundle::layout;
use crate::collect::{CollectError, Done, Item, Keep, Sink, retry};
use crate::model::{Access, ItemId, Kept, Outcome, Truncation};
use crate::redact::Format;

const PATH: &str = "/metrics";
/// The metric; one sample for each API that was asked for since the server started.
const METRIC: &[u8] = b"apiserver_requested_deprecated_apis{";
/// Bytes of metrics that are read at most; a server with many kinds says some tens of megabytes.
const READ_MAX: u64 = 256 << 20;
/// Bytes of the metric that are kept.
const KEEP_MAX: u64 = 256 << 10;
/// A longer line is none of this metric.
const LINE_MAX: usize = 4 << 10;

/// The right that it needs; a path of the server and no resource of the cluster.
fn access() -> Access {
    Access::new("get", "", PATH, None)
}

/// Reads the metrics of the API server and keeps one of them.
pub(super) struct DeprecatedItem {
    id: ItemId,
    cluster: Cluster,
}

impl DeprecatedItem {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self { id: ItemId::new("kubernetes/deprecated-apis"), cluster }
    }

    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        let response = match retry::retry(sink, || self.cluster.open(PATH, "text/plain")).await? {
            Ok(response) => response,
            Err(refusal) if refusal.code == 404 => {
                return Err(CollectError::NotApplicable("the server shows no metrics".to_owned()));
            }
            Err(refusal) => return Err(refusal.into_error()),
        };
        let mut chunks = self.cluster.chunks(response.into_body());
        let mut file = sink.create(layout::DEPRECATED_APIS, Format::Text, Keep::Oldest(KEEP_MAX))?;
        let (mut lines, mut read, mut lost) = (Lines::default(), 0_u64, None);
        loop {
            match chunks.next().await {
                Ok(Some(chunk)) if read < READ_MAX && !file.is_full() => {
                    read += chunk.len() as u64;
                    lines.feed(&chunk, &mut |line| file.write(line))?;
                }
                Ok(Some(_)) => {
                    lost = Some(("too-long", "the metrics are longer than what is read of them".to_owned()));
                    break;
                }
                Ok(None) => break,
                Err(error) => {
                    lost = Some(("connection-lost", error.to_string()));
                    break;
                }
            }
        }
        let Some((reason, why)) = lost else {
            let any = file.received() > 0;
            file.finish(None)?;
            return Ok(if any {
                Done::ok()
            } else {
                Done::with(Outcome::Empty, "no client has asked for a deprecated version of an API")
            });
        };
        file.finish(Some(Truncation { reason: reason.to_owned(), dropped_bytes: None, kept: Kept::Oldest }))?;
        Ok(Done::with(Outcome::Truncated, why))
    }
}

/// Takes whole lines of the metric out of pieces.
#[derive(Default)]
struct Lines {
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
    /// That line is longer than any of the metric.
    skip: bool,
}

impl Lines {
    fn feed(
        &mut self,
        mut chunk: &[u8],
        each: &mut dyn FnMut(&[u8]) -> Result<(), CollectError>,
    ) -> Result<(), CollectError> {
        while let Some(end) = memchr::memchr(b'\n', chunk) {
            let (line, after) = chunk.split_at(end + 1);
            chunk = after;
            if self.rest.is_empty() && !self.skip {
                if line.starts_with(METRIC) {
                    each(line)?;
                }
                continue;
            }
            self.rest.extend_from_slice(line);
            if !self.skip && self.rest.starts_with(METRIC) {
                each(&self.rest)?;
            }
            self.rest.clear();
            self.skip = false;
        }
        if !self.skip {
            self.rest.extend_from_slice(chunk);
        }
        if self.rest.len() > LINE_MAX {
            self.rest.clear();
            self.skip = true;
        }
        Ok(())
    }
}

impl Item for DeprecatedItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/server"
    }

    fn describe(&self) -> String {
        "reads the metrics of the API server and keeps which deprecated API versions clients ask for".to_owned()
    }

    fn access(&self) -> Vec<Access> {
        vec![access()]
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(pieces: &[&[u8]]) -> String {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for piece in pieces {
            let mut each = |line: &[u8]| {
                out.extend_from_slice(line);
                Ok(())
            };
            lines.feed(piece, &mut each).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    const WANTED: &str = "apiserver_requested_deprecated_apis{group=\"policy\",version=\"v1beta1\"} 1\n";

    #[test]
    fn one_metric_is_kept_however_it_is_cut() {
        let text = format!("# HELP apiserver_requested_deprecated_apis x\nother{{a=\"b\"}} 2\n{WANTED}last 3\n");
        for at in 0..text.len() {
            let (a, b) = text.as_bytes().split_at(at);
            assert_eq!(kept(&[a, b]), WANTED, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(kept(&bytes), WANTED);
    }

    #[test]
    fn a_line_without_end_is_not_held() {
        let endless = vec![b'x'; 10 * LINE_MAX];
        assert_eq!(kept(&[&endless, &endless, b"\n", WANTED.as_bytes()]), WANTED);
        let mut lines = Lines::default();
        lines.feed(&endless, &mut |_| Ok(())).unwrap();
        assert!(lines.rest.is_empty());
    }
}
