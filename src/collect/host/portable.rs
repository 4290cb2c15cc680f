//! What every operating system says about itself through its own interfaces. On Linux it only fills what `/proc` and `/sys` do
//! not have as text.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sysinfo::{
    CpuRefreshKind, Disks, MemoryRefreshKind, Networks, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind,
};

use super::gather::Gathered;
use super::processes::Row;
use crate::model::time;

/// Operating system, processors, memory and load. The processor usage is that of a short moment.
pub(super) fn system() -> Map<String, Value> {
    let mut document = Map::new();
    let mut set = |key: &str, value: Value| document.insert(key.to_owned(), value);
    set("os", json!({ "name": System::name().ok(), "version": System::long_os_version().ok() }));
    set("kernel", json!(System::kernel_version().ok()));
    set("hostname", json!(System::host_name().ok()));
    set("architecture", json!(System::cpu_arch()));
    set("boot_time", json!(System::boot_time().ok().and_then(at)));
    set("uptime_seconds", json!(System::uptime().ok()));
    let load = System::load_average().ok();
    set(
        "load",
        json!(load.map(|l| json!({ "one_minute": l.one, "five_minutes": l.five, "fifteen_minutes": l.fifteen }))),
    );
    if let Ok(mut system) = System::new() {
        system.refresh_memory_specifics(MemoryRefreshKind::everything());
        system.refresh_cpu_list(CpuRefreshKind::everything());
        std::thread::sleep(sysinfo::MINIMUM_CPU_UPDATE_INTERVAL);
        system.refresh_cpu_usage();
        let cpus = system.cpus();
        set(
            "processors",
            json!({
                "model": cpus.first().map(|c| c.brand().trim().to_owned()),
                "logical": cpus.len(),
                "physical": System::physical_core_count().ok(),
                "usage_percent": rounded(system.global_cpu_usage()),
                "usage_percent_each": cpus.iter().map(|c| rounded(c.usage())).collect::<Vec<_>>(),
            }),
        );
        set(
            "memory",
            json!({
                "total_bytes": system.total_memory(),
                "available_bytes": system.available_memory(),
                "used_bytes": system.used_memory(),
                "swap_total_bytes": system.total_swap(),
                "swap_used_bytes": system.used_swap(),
            }),
        );
    }
    document
}

/// Addresses of the interfaces, by name.
pub(super) fn addresses() -> BTreeMap<String, Value> {
    let Ok(networks) = Networks::new_with_refreshed_list() else { return BTreeMap::new() };
    networks
        .iter()
        .map(|(name, data)| {
            let name = name.to_string_lossy().into_owned();
            let mut addresses: Vec<String> = data.ip_networks().iter().map(ToString::to_string).collect();
            addresses.sort();
            let interface = json!({
                "name": name,
                "state": data.operational_state().to_string(),
                "mtu": data.mtu(),
                "mac": data.mac_address().to_string(),
                "addresses": addresses,
                "counters": {
                    "rx_bytes": data.total_received(),
                    "tx_bytes": data.total_transmitted(),
                    "rx_packets": data.total_packets_received(),
                    "tx_packets": data.total_packets_transmitted(),
                    "rx_errors": data.total_errors_on_received(),
                    "tx_errors": data.total_errors_on_transmitted(),
                },
            });
            (name, interface)
        })
        .collect()
}

/// Disks, for systems without `/proc`. Their inodes are not known here.
pub(super) fn disks() -> Gathered {
    let mut gathered = Gathered::default();
    let Ok(disks) = Disks::new_with_refreshed_list() else {
        gathered.problem("the operating system gives no list of its disks".to_owned());
        return gathered;
    };
    let mounts: Vec<Value> = disks
        .iter()
        .map(|disk| {
            json!({
                "mount_point": disk.mount_point().to_string_lossy(),
                "source": disk.name().to_string_lossy(),
                "type": disk.file_system().to_string_lossy(),
                "read_only": disk.is_read_only(),
                "size_bytes": disk.total_space(),
                "used_bytes": disk.total_space().saturating_sub(disk.available_space()),
                "available_bytes": disk.available_space(),
            })
        })
        .collect();
    gathered.json("host/disks.json", &json!({ "mounts": mounts }));
    gathered
}

/// Processes, for systems without `/proc`, sorted by id.
pub(super) fn processes() -> Vec<Row> {
    let Ok(mut system) = System::new() else { return Vec::new() };
    let wanted = ProcessRefreshKind::nothing()
        .with_cpu()
        .with_memory()
        .with_user(UpdateKind::OnlyIfNotSet)
        .with_cmd(UpdateKind::OnlyIfNotSet);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, wanted);
    std::thread::sleep(sysinfo::MINIMUM_CPU_UPDATE_INTERVAL);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, wanted);
    let mut rows: Vec<Row> = system
        .processes()
        .values()
        .map(|p| Row {
            pid: p.pid().as_u32(),
            parent: p.parent().map_or(0, sysinfo::Pid::as_u32),
            name: p.name().to_string_lossy().into_owned(),
            state: p.status().to_string(),
            uid: p.user_id().and_then(|uid| uid.to_string().parse().ok()),
            started: at(p.start_time()),
            cpu_percent: Some(rounded(p.cpu_usage())),
            resident_bytes: Some(p.memory()),
            virtual_bytes: Some(p.virtual_memory()),
            arguments: Some(p.cmd().iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ")),
            ..Row::default()
        })
        .collect();
    rows.sort_by_key(|r| r.pid);
    rows
}

fn at(seconds: u64) -> Option<String> {
    chrono::DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0).map(time::rfc3339)
}

fn rounded(percent: f32) -> f64 {
    (f64::from(percent) * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_describes_itself() {
        let system = system();
        assert!(system["memory"]["total_bytes"].as_u64().unwrap() > 1 << 20);
        assert!(system["processors"]["logical"].as_u64().unwrap() >= 1);
        let me = std::process::id();
        let row = processes().into_iter().find(|r| r.pid == me).unwrap();
        assert!(row.resident_bytes.unwrap() > 0);
        assert!(addresses().values().any(|i| i["addresses"].to_string().contains("127.0.0.1")));
    }
}
