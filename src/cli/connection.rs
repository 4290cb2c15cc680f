//! The connection flags of kubectl.

use std::path::PathBuf;
use std::time::Duration;

/// Flags that say which cluster, and as whom; named as kubectl names them.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Cluster connection")]
pub(super) struct ConnectionArgs {
    /// Kubeconfig file; otherwise $KUBECONFIG, ~/.kube/config, or the service account of the pod
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
    /// Namespace to read; repeat for several. Otherwise those in which the profile finds its system
    #[arg(long, short, value_name = "NAME")]
    pub(super) namespace: Vec<String>,
    /// User to impersonate
    #[arg(long = "as", value_name = "USER")]
    pub(super) as_user: Option<String>,
    /// Group to impersonate; repeat for several
    #[arg(long, value_name = "GROUP")]
    pub(super) as_group: Vec<String>,
    /// Longest wait for one answer of the API server
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(super) request_timeout: Duration,
}
