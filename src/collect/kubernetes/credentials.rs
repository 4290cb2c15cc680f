//! What the client proves itself with. A server may quote it in an error, an annotation or a log, so redaction has to know it.

use std::path::Path;

use serde_json::Value;
use zeroize::Zeroizing;

use super::connect::ConnectOptions;
use super::kubeconfig;

/// Largest file of a token or a key that is read.
const FILE_MAX: u64 = 64 << 10;
/// Where the token of a pod's service account lies.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Credentials of a kubeconfig. It has no `Debug`, because it holds them.
#[derive(Default)]
pub struct Credentials {
    /// Tokens, passwords and client keys.
    pub secrets: Vec<Zeroizing<String>>,
    /// `name=value` of what credential plugins are given. Only the name says whether the value is secret.
    pub settings: Vec<Zeroizing<String>>,
}

impl Credentials {
    /// Reads the credentials of all users of the kubeconfig that [`super::Cluster::connect`] reads with the same options, or the token of
    /// the service account. What cannot be read is left out here, because connecting says what is wrong with it.
    #[must_use]
    pub fn of(options: &ConnectOptions) -> Self {
        let mut found = Self::default();
        match kubeconfig::read(options, &mut Vec::new()) {
            Ok(Some((config, _))) => {
                for user in &config.auth_infos {
                    found.add(&serde_json::to_value(&user.auth_info).unwrap_or_default());
                }
            }
            Ok(None) => found.file(SERVICE_ACCOUNT),
            Err(_) => {}
        }
        found
    }

    /// The credentials of one user, as they stand in the file.
    fn add(&mut self, user: &Value) {
        for name in ["token", "password", "client-key-data"] {
            self.secrets.extend(user[name].as_str().map(|value| Zeroizing::new(value.to_owned())));
        }
        for name in ["tokenFile", "client-key"] {
            user[name].as_str().into_iter().for_each(|path| self.file(path));
        }
        let env = user["exec"]["env"].as_array().into_iter().flatten();
        let env = env.filter_map(|e| Some((e["name"].as_str()?, e["value"].as_str()?)));
        let provider = user["auth-provider"]["config"].as_object().into_iter().flatten();
        let provider = provider.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
        self.settings.extend(env.chain(provider).map(|(name, value)| Zeroizing::new(format!("{name}={value}"))));
    }

    fn file(&mut self, path: impl AsRef<Path>) {
        let small = std::fs::metadata(&path).is_ok_and(|data| data.is_file() && data.len() <= FILE_MAX);
        if small && let Ok(text) = std::fs::read_to_string(&path) {
            self.secrets.push(Zeroizing::new(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_prove_oneself_is_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key.pem"), "the key").unwrap();
        std::fs::write(dir.path().join("token"), "the token of a file").unwrap();
        let text = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
            contexts: [{name: a, context: {cluster: a, user: a}}]\nclusters: [{name: a, cluster: {server: 'http://h'}}]\nusers:\n\
            - {name: a, user: {token: tok, client-key: key.pem, tokenFile: token}}\n\
            - {name: b, user: {username: u, password: pass, client-key-data: ZGF0YQ==}}\n\
            - {name: c, user: {exec: {apiVersion: v1, command: login, env: [{name: API_TOKEN, value: t1}]}}}\n\
            - {name: d, user: {auth-provider: {name: oidc, config: {refresh-token: t2}}}}\n";
        std::fs::write(dir.path().join("config"), text).unwrap();
        let options = ConnectOptions { kubeconfig: Some(dir.path().join("config")), ..ConnectOptions::default() };
        let found = Credentials::of(&options);
        let mut secrets: Vec<&str> = found.secrets.iter().map(|s| s.as_str()).collect();
        secrets.sort_unstable();
        assert_eq!(secrets, ["ZGF0YQ==", "pass", "the key", "the token of a file", "tok"]);
        assert_eq!(found.settings.iter().map(|s| s.as_str()).collect::<Vec<_>>(), ["API_TOKEN=t1", "refresh-token=t2"]);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let options = ConnectOptions { kubeconfig: Some("/nowhere/config".into()), ..ConnectOptions::default() };
        assert!(Credentials::of(&options).secrets.is_empty());
    }
}
