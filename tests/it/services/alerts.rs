//! Every alert of the systems has a rule of its profile, or is known to be blind.

use std::path::Path;

/// Names in `- alert: Name` lines of the systems' rule files.
fn alerts(profile: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/services/alerts/{profile}.yml"));
    let text = std::fs::read_to_string(&file).unwrap();
    let names = text.lines().filter_map(|l| l.trim().strip_prefix("- {alert: ")?.split(',').next());
    names.map(str::to_owned).collect()
}

#[test]
fn every_alert_of_the_systems_has_a_rule() {
    for (profile, least) in [("kvstore", 29), ("mpc-wallet", 32), ("parthenon", 9)] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("profiles/{profile}/rules.toml"));
        let rules = std::fs::read_to_string(&file).unwrap();
        let alerts = alerts(profile);
        assert!(alerts.len() >= least, "{profile}: {}", alerts.len());
        let without: Vec<&String> = alerts.iter().filter(|a| !rules.contains(&format!("'{a}'"))).collect();
        assert!(without.is_empty(), "{profile}: {without:?} have no rule");
    }
}
