//! Claims, volumes and storage classes.

use crate::model::size;
use crate::triage::draft::Draft;
use crate::triage::facts::{Claim, Event, Facts, Key};
use crate::triage::finding::{Category, Level, Severity, Subject};
use crate::triage::text;

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    for (key, claim) in &facts.claims {
        match claim.phase.as_str() {
            "Pending" => out.extend(pending(facts, key, claim)),
            "Lost" => out.push(lost(facts, key, claim)),
            _ => {}
        }
    }
    for (name, volume) in &facts.volumes {
        if volume.phase == "Failed" {
            out.push(
                Draft::new("claim-lost", Category::Storage, Severity::Warning, Level::Two)
                    .about(Subject::new("persistentvolume", "", name))
                    .title(format!("{{who}} failed: {}", text::line(&volume.message, 160)))
                    .meaning("The volume could not be deleted or recycled when its claim went away; its data may still be there.")
                    .seen_in([volume.at.evidence_at("/status", &format!("phase Failed: {}", volume.message))])
                    .reaches([Subject::new("persistentvolumeclaim", &volume.claim.0, &volume.claim.1)])
                    .remedy([format!("Look at it before anything is deleted: kubectl describe pv {name}")]),
            );
        }
    }
    for (key, usage) in &facts.claim_usage {
        let free = usage.capacity.saturating_sub(usage.used);
        let severity = if free.saturating_mul(100) < usage.capacity.saturating_mul(3) {
            Severity::Critical
        } else if free.saturating_mul(10) < usage.capacity {
            Severity::Warning
        } else {
            continue;
        };
        out.push(
            Draft::new("volume-nearly-full", Category::Storage, severity, Level::Two)
                .about(Subject::new("persistentvolumeclaim", &key.0, &key.1))
                .title(format!("{{who}} has {} of {} left", size::human(free), size::human(usage.capacity)))
                .meaning("When a volume is full, writes fail and most programs stop.")
                .seen_in([usage.at.evidence(&format!(
                    "used {} of {}",
                    size::human(usage.used),
                    size::human(usage.capacity)
                ))])
                .confidence(0.9)
                .remedy([
                    format!("Enlarge it where its class allows that: kubectl -n {} edit pvc {}", key.0, key.1),
                    "Or delete what is not needed, after asking the owner of the data".to_owned(),
                ]),
        );
    }
    let defaults: Vec<&str> =
        facts.storage_classes.iter().filter(|(_, (_, default))| *default).map(|(name, _)| name.as_str()).collect();
    if let [first, _, ..] = defaults[..] {
        out.push(
            Draft::new("several-default-storage-classes", Category::Configuration, Severity::Info, Level::Two)
                .about(Subject::new("storageclass", "", first))
                .title(format!(
                    "{} are all the default class: {}",
                    text::count(defaults.len(), "storage classe"),
                    defaults.join(", ")
                ))
                .meaning("Claims without a class get the newest of them, which is easily not the one that was meant.")
                .seen_in(
                    facts
                        .storage_classes
                        .values()
                        .filter(|(_, d)| *d)
                        .map(|(at, _)| at.evidence("is-default-class: true")),
                )
                .remedy(["Leave the annotation storageclass.kubernetes.io/is-default-class on one class only"]),
        );
    }
}

fn lost(facts: &Facts, key: &Key, claim: &Claim) -> Draft {
    let volume = facts.volumes.get(&claim.volume);
    Draft::new("claim-lost", Category::Storage, Severity::Critical, Level::Three)
        .about(Subject::new("persistentvolumeclaim", &key.0, &key.1))
        .title(format!("{{who}} lost its volume {}", claim.volume))
        .meaning("The volume that holds the data is not there any more. A new claim would be empty.")
        .seen_in([claim.at.evidence_at("/status/phase", &format!("phase Lost, volume {}", claim.volume))])
        .seen_in(volume.map(|v| v.at.evidence_at("/status", &format!("{}: {}", v.phase, v.message))))
        .confidence(0.95)
        .remedy([
            "Do not delete the claim".to_owned(),
            format!(
                "Find the volume in the storage system, and bring the PersistentVolume {} back with the same claimRef",
                claim.volume
            ),
            "If it is gone, restore from the backup".to_owned(),
        ])
}

fn pending(facts: &Facts, key: &Key, claim: &Claim) -> Option<Draft> {
    let subject = Subject::new("persistentvolumeclaim", &key.0, &key.1);
    let failure = facts.newest(&subject, &["ProvisioningFailed", "FailedBinding"]);
    let first_consumer = facts.newest(&subject, &["WaitForFirstConsumer", "WaitForPodScheduled"]);
    let describe = format!("Read its events: kubectl -n {} describe pvc {}", key.0, key.1);
    let phase = claim.at.evidence_at(
        "/status/phase",
        &format!("phase Pending, class {}, wants {}", claim.class.as_deref().unwrap_or("(default)"), claim.request),
    );
    let class = claim.class.as_deref().filter(|c| !c.is_empty());
    let missing = class.filter(|class| {
        facts.listed("storage.k8s.io", "storageclasses", "") && !facts.storage_classes.contains_key(*class)
            || failure.is_some_and(|e| {
                e.message.contains("storageclass") && e.message.contains("not found") && e.message.contains(*class)
            })
    });
    if let Some(class) = missing {
        let known: Vec<&str> = facts.storage_classes.keys().map(String::as_str).collect();
        let known = if known.is_empty() { String::new() } else { format!(" (the cluster has {})", known.join(", ")) };
        return Some(
            Draft::new("storage-class-missing", Category::Storage, Severity::Critical, Level::Two)
                .about(subject)
                .title(format!("{{who}} wants storage class {class}, which does not exist"))
                .meaning("Nobody can make its volume, so pods that mount it wait for ever.")
                .seen_in([phase])
                .seen_in(failure.map(Event::evidence))
                .because("the class is not in the cluster")
                .confidence(0.97)
                .same_when(class)
                .between(failure.and_then(|e| e.first), failure.and_then(|e| e.last))
                .times(failure.map_or(1, |e| e.count))
                .remedy([
                    format!("Create storage class {class}, or use one that exists{known}: kubectl get storageclasses"),
                    format!("The class of a claim cannot be changed: delete and make the claim anew while it is empty: kubectl -n {} delete pvc {}", key.0, key.1),
                ]),
        );
    }
    if let Some(event) = failure.filter(|e| e.reason == "ProvisioningFailed") {
        return Some(
            Draft::new("volume-provisioning-failed", Category::Storage, Severity::Critical, Level::Two)
                .about(subject)
                .title(format!("{{who}} gets no volume: {}", text::line(&event.message, 160)))
                .meaning("The provisioner of the storage class tries and fails.")
                .seen_in([event.evidence(), phase])
                .because("the newest event of the claim is ProvisioningFailed")
                .between(event.first, event.last)
                .times(event.count)
                .remedy([describe, "Check the provisioner's pods and what the storage system has left".to_owned()]),
        );
    }
    // A claim that waits for a pod to be scheduled is not in trouble itself.
    if first_consumer.is_some() {
        return None;
    }
    let used = facts.pods.values().any(|p| p.key.0 == key.0 && p.claims.contains(&key.1));
    let why = match failure {
        Some(event) => event.message.as_str(),
        None if claim.class.as_deref() == Some("") => "it wants no class, and no free volume fits",
        None if claim.class.is_none() && facts.storage_classes.values().all(|(_, default)| !default) => {
            "it names no class, and the cluster has no default class"
        }
        None => "no event says why",
    };
    Some(
        Draft::new(
            "claim-pending",
            Category::Storage,
            if used { Severity::Warning } else { Severity::Info },
            Level::Two,
        )
        .about(subject)
        .title(format!("{{who}} is not bound: {}", text::line(why, 160)))
        .meaning("Pods that mount it wait until it is bound.")
        .seen_in([phase])
        .seen_in(failure.map(Event::evidence))
        .confidence(0.7)
        .between(failure.and_then(|e| e.first), failure.and_then(|e| e.last))
        .remedy([describe]),
    )
}
