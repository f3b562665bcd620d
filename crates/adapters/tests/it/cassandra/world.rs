//! A real Cassandra for tests: where it is, a place in it for each case, and what is done to it behind the adapter's back.
//!
//! The suites' cases share a keyspace, each with table names of its own: dropping a keyspace takes Cassandra a second.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use millstream_adapters::cassandra::{CassandraFeed, CassandraSettings, CassandraStore, CassandraTables, TimestampColumns};
use millstream_core::ports::{ChangeFeed, EventStore};
use millstream_testkit::{Abilities, ManualClock, OnData, require};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;

use super::renamed::Renamed;

/// The cluster, and the keyspaces that were made in it.
pub struct World {
    settings: CassandraSettings,
    keyspaces: Arc<Mutex<Vec<String>>>,
    shared: OnceLock<CassandraSettings>,
}

/// Where a case has its tables, and the store over them once it was opened.
pub struct Place {
    pub settings: CassandraSettings,
    plan: CassandraTables,
    suffix: String,
    opened: OnceLock<Arc<CassandraStore>>,
}

/// A keyspace takes Cassandra a second, on a busy machine several.
const CLEAN_LIMIT: Duration = Duration::from_secs(30);

static MADE: AtomicU32 = AtomicU32::new(0);

pub fn without_feed() -> CassandraTables {
    CassandraTables::default()
}

/// The tables that the suites make, with feeds.
pub fn with_feed() -> CassandraTables {
    let feeds = ["t", "t2", "first", "second", "other", "made_later"].map(str::to_owned).into();
    CassandraTables { feeds, ..CassandraTables::default() }
}

impl World {
    /// The Cassandra of the services file; `None` where there is none and none is required.
    pub fn find() -> Option<Self> {
        let file = std::env::var_os("MILLSTREAM_SERVICES");
        let services: toml::Table = file.map(|f| toml::from_str(&std::fs::read_to_string(f).unwrap()).unwrap()).unwrap_or_default();
        let section = services.get("cassandra");
        if !require("cassandra", section.is_some()) {
            return None;
        }
        Some(Self { settings: section?.clone().try_into().unwrap(), keyspaces: Arc::default(), shared: OnceLock::new() })
    }

    /// The same with `timestamps = "timestamp"`.
    pub fn with_timestamps(mut self) -> Self {
        self.settings.timestamps = TimestampColumns::Timestamp;
        self
    }

    /// A keyspace of its own, that is not there yet.
    pub fn place(&self, plan: CassandraTables) -> Place {
        let keyspace = format!("it_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        self.keyspaces.lock().unwrap().push(keyspace.clone());
        let mut settings = self.settings.clone();
        settings.keyspace = keyspace;
        if settings.replication.is_empty() {
            settings.replication = [("datacenter1".to_owned(), 1)].into();
        }
        Place { settings, plan, suffix: String::new(), opened: OnceLock::new() }
    }

    /// Table names of its own in the suites' keyspace.
    fn corner(&self, plan: CassandraTables) -> Place {
        let settings = self.shared.get_or_init(|| self.place(without_feed()).settings).clone();
        let suffix = format!("_{}", MADE.fetch_add(1, Ordering::Relaxed));
        let feeds = plan.feeds.iter().map(|name| format!("{name}{suffix}")).collect();
        Place { settings, plan: CassandraTables { feeds, ..plan }, suffix, opened: OnceLock::new() }
    }

    /// A harness on a place of its own, that opens what `pick` takes of the store and its feed.
    pub fn harness<P: Send + 'static>(
        &self,
        plan: CassandraTables,
        pick: impl Fn(Arc<dyn EventStore>, Arc<dyn ChangeFeed>) -> P + Send + Sync + Copy + 'static,
    ) -> OnData<Place, P> {
        let counts_changes = !plan.feeds.is_empty();
        let open = move |place: Arc<Place>, clock: Arc<ManualClock>| async move {
            let store = place.open(clock);
            let suffix = place.suffix.clone();
            let renamed = Arc::new(Renamed { feed: CassandraFeed::new(store.clone()), store, suffix });
            Ok(pick(renamed.clone(), renamed))
        };
        OnData::new(self.corner(plan), open).with_abilities(Abilities {
            consistent_snapshots: false,
            atomic_epochs: false,
            orders_equal_versions: false,
            counts_changes,
            empty_partition_keys: false,
            ..Abilities::ALL
        })
    }

    /// A session that does what it is told.
    pub async fn session(&self) -> Session {
        let mut builder = SessionBuilder::new().known_nodes(&self.settings.contact_points);
        if let (Some(username), Some(password)) = (&self.settings.username, &self.settings.password) {
            builder = builder.user(username, password.read("cassandra.password").unwrap().expose());
        }
        builder.build().await.unwrap()
    }

    /// Drops the keyspaces that were made. What the driver waits for after a change of the schema has no bound of its own.
    pub async fn clean(&self) {
        let made = std::mem::take(&mut *self.keyspaces.lock().unwrap());
        for keyspace in made {
            let drop = async || {
                let session = self.session().await;
                session.query_unpaged(format!("DROP KEYSPACE IF EXISTS {keyspace}"), ()).await.unwrap();
            };
            if tokio::time::timeout(CLEAN_LIMIT, drop()).await.is_err() {
                tokio::time::timeout(CLEAN_LIMIT, drop()).await.expect("over another session the keyspace is dropped in time");
            }
        }
    }
}

impl Place {
    /// The store; a second one over the same session when it was opened before.
    pub fn open(&self, clock: Arc<ManualClock>) -> Arc<CassandraStore> {
        match self.opened.get() {
            Some(opened) => opened.restarted(),
            None => {
                let store = CassandraStore::new(self.settings.clone(), self.plan.clone(), clock).unwrap();
                self.opened.get_or_init(|| store).clone()
            }
        }
    }
}
