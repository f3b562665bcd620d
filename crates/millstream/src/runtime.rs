//! The process's one async runtime, and its one metrics recorder.

use std::future::Future;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use millstream_core::{Error, Result};

/// Runs `work` to its end on a runtime of its own.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("millstream")
        .build()
        .map_err(|e| Error::from(e).context("the runtime can't start"))?;
    runtime.block_on(work)
}

/// Upper bounds of the buckets of every histogram of seconds: from 100 microseconds to 30 seconds.
const SECONDS: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Makes the process's metrics recordable. Called once.
pub fn record_metrics() -> Result<PrometheusHandle> {
    let failed = |e: metrics_exporter_prometheus::BuildError| Error::internal("metrics can't be recorded").caused_by(e);
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .map_err(failed)?
        .install_recorder()
        .map_err(failed)
}
