//! What the fuzz targets do with their input. `cargo test` feeds the kept corpus to the same functions.

mod archive;
mod bundle;
mod redact;
mod triage;

/// A target: its name, which is that of its folder of inputs, and its function.
type Target = (&'static str, fn(&[u8]));

/// All targets.
pub(crate) const ALL: &[Target] = &[
    ("bundle_reader", bundle::bundle_reader),
    ("decoders", redact::decoders),
    ("env", redact::env),
    ("facts_events", triage::facts_events),
    ("facts_health", triage::facts_health),
    ("facts_logs", triage::facts_logs),
    ("facts_metrics", triage::facts_metrics),
    ("facts_pods", triage::facts_pods),
    ("json", redact::json),
    ("objects", redact::objects),
    ("redact_tar", archive::redact_tar),
    ("redact_zip", archive::redact_zip),
    ("rule_loader", redact::rule_loader),
    ("text", redact::text),
    ("toml", redact::toml),
    ("triage_rules", triage::triage_rules),
    ("utf16", redact::utf16),
    ("yaml", redact::yaml),
];

/// Runs the target of that name.
pub(crate) fn run(name: &str, input: &[u8]) {
    let (_, target) = ALL.iter().find(|(known, _)| *known == name).expect("the name of a target");
    target(input);
}
