//! Collecting from a Kubernetes API, over real HTTP and WebSocket.

mod commands;
mod connection;
mod credentials;
mod deprecated;
mod echo;
mod fake;
mod grpc;
mod inside;
mod lists;
mod local;
mod logs;
mod monitoring;
mod recorded;
mod run;
mod storage;
