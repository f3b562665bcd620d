//! The pipeline of DESIGN.md section 2.

use std::time::Duration;

use millstream_pipeline::graph::{Binding, OutputMode};

use crate::{FLIGHTS, checked, tumbling};

#[test]
fn the_flights_pipeline_becomes_a_graph() {
    let pipeline = checked(FLIGHTS);
    let flows: Vec<_> = pipeline.flows.iter().map(|f| (f.id.as_str(), f.source.as_str(), f.target.as_str(), f.mode)).collect();
    assert_eq!(
        flows,
        [
            ("departures", "flights", "departures", OutputMode::Append),
            ("hourly_delays", "flights", "hourly_delays", OutputMode::Update),
            ("critical_delays", "departures", "critical_delays", OutputMode::Append),
        ]
    );
    let hourly = &pipeline.flows[1];
    assert_eq!(hourly.watermark.as_ref().unwrap().delay, Duration::from_secs(7200));
    assert_eq!(hourly.window.as_ref().unwrap().group, 1);
    assert_eq!(hourly.window.as_ref().unwrap().kind, tumbling(3600));
    let Binding::Critical(critical) = &pipeline.tables["critical_delays"].binding else { panic!("critical_delays is a redis table") };
    let base = critical.base.as_ref().unwrap();
    assert_eq!((base.flow.as_str(), base.table.as_str()), ("critical_delays", "departures"));
    assert_eq!(base.key, [0, 1, 2, 3]);
    assert_eq!(pipeline.jobs.len(), 1);
    assert_eq!(pipeline.jobs[0].inputs, ["departures", "airlines"]);
    for flow in &pipeline.flows {
        let spec = &pipeline.tables[&flow.target].spec;
        let fields: Vec<_> = flow.plan.schema().iter().map(|(q, f)| (q.cloned(), f.name().clone(), f.data_type().clone())).collect();
        let expected: Vec<_> = spec.schema.fields().iter().map(|f| (None, f.name().clone(), f.data_type().clone())).collect();
        assert_eq!(fields, expected, "columns of flow {}", flow.id);
    }
    let critical = pipeline.flows[2].plan.display_indent().to_string();
    assert!(critical.contains("Filter: departures.dep_delay >= Int32(120)") && !critical.contains("filters"), "{critical}");
}
