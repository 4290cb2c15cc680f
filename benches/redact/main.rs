//! What redaction costs and how good it is.
//!
//! `cargo bench --bench redact` prints all tables. Behind `--` one of them can be chosen: `speed` (beside a copy and gzip
//! of the same bytes in the same run), `memory` (the most that hostile shapes need, each in a process of its own), `corpus`
//! (recall and damage), `worst` (the slowest inputs). `write DIR` writes the corpora and their labels for other tools.
#![expect(clippy::print_stdout, reason = "a benchmark reports on the terminal")]

mod clock;
mod contents;
#[path = "../../tests/it/support/corpus/mod.rs"]
mod corpus;
mod memory;
mod quality;
mod speed;
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
        [] => {
            quality::tables();
            speed::speeds();
            worst::table();
            memory::shapes();
        }
        other => println!("unknown: {other:?}; choose speed, memory, corpus, worst or write DIR"),
    }
}
