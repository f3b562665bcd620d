//! [`KafkaLog`] against the contract of the event log, and what only a real cluster shows.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use millstream_adapters::kafka::KafkaLog;
use millstream_core::ports::{EventLog, SystemClock};
use millstream_testkit::{OnData, suite};

use super::cluster;
use super::namespace::{Namespace, fresh_prefix};

#[tokio::test(flavor = "multi_thread")]
async fn the_log_keeps_the_contract() {
    let Some(settings) = cluster() else { return };
    let made = Arc::new(Mutex::new(BTreeSet::new()));
    let harness = || {
        let (settings, made) = (settings.clone(), made.clone());
        OnData::new(fresh_prefix(), move |prefix: Arc<String>, clock| {
            let log = KafkaLog::connect(&settings, clock);
            let made = made.clone();
            async move { Ok(Arc::new(Namespace::new(Arc::new(log?), &prefix, made)) as Arc<dyn EventLog>) }
        })
    };
    let report = suite::event_log::run("kafka", harness).await;
    let log = KafkaLog::connect(&settings, Arc::new(SystemClock)).unwrap();
    let made = std::mem::take(&mut *made.lock().unwrap());
    for topic in made {
        let _ = log.delete_topic(&topic).await;
    }
    report.assert_passed();
}
