//! [`Bed`]: one run on real engines, with names of its own on each (topic, keyspace, database, key prefix), which are gone afterwards.

use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::e2e::process::{Millstream, Place, folder};
use crate::services::{Site, cassandra, kafka, mysql, postgresql, redis, table};

/// Which boxes real engines serve; all others are built in.
#[derive(Clone, Copy)]
pub struct Mix {
    /// For people.
    pub name: &'static str,
    /// The sections of `millstream.toml`.
    pub sections: &'static [&'static str],
}

/// All real.
pub const ALL: Mix = Mix { name: "all", sections: &["kafka", "cassandra", "postgresql", "mysql", "redis"] };

/// The mixes that are tried.
pub const MIXES: [Mix; 5] = [
    ALL,
    Mix { name: "kafka", sections: &["kafka"] },
    Mix { name: "cassandra", sections: &["cassandra"] },
    Mix { name: "postgresql-redis", sections: &["postgresql", "redis"] },
    Mix { name: "cassandra-redis", sections: &["cassandra", "redis"] },
];

/// A run on a mix of engines.
pub struct Bed {
    site: Site,
    mix: Mix,
    /// What its names begin with: letters, digits and underscores.
    name: String,
    place: Place,
    sections: Table,
}

impl Bed {
    /// Makes what has to be there before Millstream starts.
    pub fn make(site: &Site, mix: Mix, purpose: &str) -> Result<Self> {
        let name = format!("e2e_{purpose}_{}", mix.name).replace(['-', ' '], "_");
        let folder = folder(&format!("engines/{purpose}-{}", mix.name))?;
        clear(site, mix, &name)?;
        let sections = sections(site, mix, &name)?;
        if mix.sections.contains(&"postgresql") {
            postgresql::create_database(site, &name)?;
        }
        if mix.sections.contains(&"mysql") {
            // Somebody may have changed what `services up` put there.
            mysql::load_airports(site)?;
        }
        let place = Place::new(&folder, &sections.to_string())?;
        Ok(Self { site: site.clone(), mix, name, place, sections })
    }

    /// Starts `millstream ARGUMENTS` on it, or starts it again.
    pub fn start(&self, arguments: &[&str]) -> Result<Millstream> {
        self.place.start(arguments)
    }

    /// Starts it with another file of settings, which `variables` of the environment override.
    pub fn start_with(&self, file: &Path, variables: &[(String, String)], arguments: &[&str]) -> Result<Millstream> {
        self.place.start_with(file, variables, arguments)
    }

    /// Where producers send the flights.
    pub fn bootstrap(&self) -> String {
        let section = self.sections.get("kafka").and_then(|kafka| kafka.get("bootstrap_servers")?.as_str());
        section.map_or_else(|| self.place.kafka.clone(), str::to_owned)
    }

    /// The topic that they send them to.
    pub fn topic(&self) -> &str {
        if self.mix.sections.contains(&"kafka") { &self.name } else { "flights" }
    }

    /// The sections of the engines.
    pub fn sections(&self) -> &Table {
        &self.sections
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // What is left is cleared by the next run of the same name.
        let _ = clear(&self.site, self.mix, &self.name);
    }
}

/// The mix's sections of `services.toml`, with names of this run's own.
fn sections(site: &Site, mix: Mix, name: &str) -> Result<Table> {
    let mut sections = Table::new();
    for section in mix.sections {
        let settings = site.table().get(*section).with_context(|| format!("services.toml has no [{section}]"))?;
        sections.insert((*section).to_owned(), settings.clone());
    }
    let mut set = |section: &str, setting: &str, value: String| {
        if let Some(settings) = sections.get_mut(section).and_then(Value::as_table_mut) {
            settings.insert(setting.to_owned(), value.into());
        }
    };
    set("kafka", "group_id_prefix", name.to_owned());
    set("cassandra", "keyspace", name.to_owned());
    set("postgresql", "url", postgresql::database_url(site, name));
    set("redis", "key_prefix", format!("{name}:"));
    let mut tables = Table::new();
    if mix.sections.contains(&"kafka") {
        tables.insert("flights".to_owned(), table([("subscribe", name.into())]).into());
    }
    if mix.sections.contains(&"mysql") {
        tables.insert("airports".to_owned(), table([("using", "mysql".into()), ("dbtable", "airports".into())]).into());
    }
    if !tables.is_empty() {
        sections.insert("tables".to_owned(), tables.into());
    }
    Ok(sections)
}

/// Takes away what a run of this name left on its engines.
fn clear(site: &Site, mix: Mix, name: &str) -> Result<()> {
    for section in mix.sections {
        match *section {
            // The demo adds a word to the names that it is given.
            "kafka" => kafka::delete_topics(site, &format!("{name}(_demo)?"))?,
            "cassandra" => {
                for keyspace in [name, &format!("{name}_demo")] {
                    cassandra::query(site, &format!("DROP KEYSPACE IF EXISTS {keyspace}"))?;
                }
            }
            "postgresql" => postgresql::drop_database(site, name)?,
            "redis" => redis::delete_keys(site, &format!("{name}:*"))?,
            // Reference data is only read.
            _ => {}
        }
    }
    Ok(())
}
