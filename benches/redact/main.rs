//! What redaction costs and how good it is.
//!
//! `cargo bench --bench redact` prints all tables. Behind `--` one of them can be chosen: `speed` (beside a copy and gzip
//! of the same bytes in the same run), `memory` (the most that hostile shapes need, each in a process of its own), `corpus`
//! (recall and damage), `worst` (the slowest inputs), `stages` (redaction beside the other stages of a collect). `search SECONDS`
//! looks for slower inputs; `write DIR` writes the corpora and their labels for other tools.
#![expect(clippy::print_stdout, reason = "a benchmark reports on the terminal")]

mod clock;
mod contents;
#[path = "../../tests/it/support/corpus/mod.rs"]
mod corpus;
mod memory;
mod quality;
mod search;
mod speed;
mod stages;
mod worst;

use std::path::Path;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["shape", name] => memory::shape(name),
        ["write", dir] => quality::write(Path::new(dir)),
        ["speed"] => speed::speeds(),
        ["memory"] => memory::shapes(),
        ["corpus"] => quality::tables(),
        ["worst"] => worst::table(),
        ["stages"] => stages::table(),
        ["search", seconds] => search::search(seconds.parse().unwrap_or(60)),
        [] => {
            quality::tables();
            speed::speeds();
            stages::table();
            worst::table();
            memory::shapes();
        }
        other => {
            println!("unknown: {other:?}; choose speed, stages, memory, corpus, worst, search SECONDS or write DIR");
        }
    }
}
