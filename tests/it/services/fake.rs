//! Small servers of HTTP on loopback or a Unix socket, that behave well or badly.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a server answers.
pub(crate) enum Reply {
    /// A status and a JSON document.
    Json(u16, String),
    /// A status, a content type and any bytes.
    Bytes(u16, &'static str, Vec<u8>),
    /// A redirect.
    Redirect(String),
    /// Nothing, with the connection open.
    Hang,
    /// A body of 100 MB in a document that never closes.
    Huge,
    /// The connection is closed after half of the promised body.
    Cut,
    /// Bytes that are no HTTP.
    Raw(Vec<u8>),
}

/// A running server.
pub(crate) struct Fake {
    /// `127.0.0.1:<port>`, or the path of the socket.
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

type Answer = dyn Fn(&str, &str) -> Reply + Send + Sync;

impl Fake {
    /// A server on loopback. `answer` gets `METHOD path` and the body.
    pub(crate) fn tcp(answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (answer, seen): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream.try_clone().unwrap(), stream, &*answer, &seen));
            }
        });
        Self { address, requests }
    }

    /// A server on a Unix socket.
    pub(crate) fn unix(path: &Path, answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (answer, seen): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream.try_clone().unwrap(), stream, &*answer, &seen));
            }
        });
        Self { address: path.display().to_string(), requests }
    }

    /// What was asked so far: `METHOD path`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A port on loopback at which nothing listens.
pub(crate) fn closed_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn serve(read: impl Read, mut write: impl Write, answer: &Answer, seen: &Mutex<Vec<String>>) {
    let mut read = BufReader::new(read);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if read.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    read.read_exact(&mut body).unwrap();
    let request = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    seen.lock().unwrap().push(request.clone());
    let start = |status: u16, kind: &str, length: usize| {
        format!("HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")
    };
    // A client that has seen enough closes the connection; that is its right.
    let _ = match answer(&request, &String::from_utf8_lossy(&body)) {
        Reply::Json(status, text) => {
            write.write_all(format!("{}{text}", start(status, "application/json", text.len())).as_bytes())
        }
        Reply::Bytes(status, kind, bytes) => {
            write.write_all(start(status, kind, bytes.len()).as_bytes()).and_then(|()| write.write_all(&bytes))
        }
        Reply::Redirect(to) => write.write_all(
            format!("HTTP/1.1 302 x\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes(),
        ),
        Reply::Hang => {
            std::thread::sleep(Duration::from_secs(60));
            Ok(())
        }
        Reply::Huge => {
            let piece = vec![b' '; 1 << 20];
            let mut result = write.write_all(start(200, "application/json", 100 << 20).as_bytes());
            for _ in 0..100 {
                result = result.and_then(|()| write.write_all(&piece));
            }
            result
        }
        Reply::Cut => write.write_all(format!("{}{{\"half\": ", start(200, "application/json", 1000)).as_bytes()),
        Reply::Raw(bytes) => write.write_all(&bytes),
    };
}
