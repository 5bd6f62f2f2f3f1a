//! Tables that refer to one another.

use highwater::{Limit, OpKind, Start, Stream};
use highwater_connect::destination::sql::Settings;
use highwater_connect::{Destination, Feed};

use crate::modes::table_of;
use crate::subject::Subject;
use crate::world::World;

const CHILD: &str = r#"{"properties":{"id":{"type":"integer"},"parent":{"type":"integer"}}}"#;
const PARENT: &str = r#"{"properties":{"id":{"type":"integer"}}}"#;

/// Children that were registered, and come, before their parents.
struct Family {
    world: World,
    child: Stream,
    parent: Stream,
}

impl Family {
    fn grow(&mut self, id: u64) {
        let (key, row) = (format!("[{id}]"), format!(r#"{{"id":{id},"parent":{id}}}"#));
        self.world.append(&self.child, OpKind::Upsert, &key, &row);
        self.world.append(&self.parent, OpKind::Upsert, &key, &format!(r#"{{"id":{id}}}"#));
        self.world.commit();
    }

    /// Delivers what is new, three checkpoints a batch; how many records were refused.
    fn deliver(&self, to: &mut dyn Destination, order: &[&str]) -> usize {
        let order = order.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut feed = Feed::open(&self.world.log, "delivery", Start::Earliest, None).unwrap();
        feed.align(to.stored().unwrap()).unwrap();
        let mut refused = 0;
        while let Some(batch) = feed.next(&Limit { max_checkpoints: 3, ..Limit::default() }).unwrap() {
            let batch = batch.with_order(order.clone().into());
            refused += to.apply(&batch).unwrap().rejected.len();
            feed.acknowledge(batch.end()).unwrap();
        }
        refused
    }
}

fn refer(subject: &dyn Subject, child: &str, parent: &str) {
    let (child, parent) = (subject.table(child), subject.table(parent));
    if subject.is_sqlite() {
        subject.run(&format!(
            "CREATE TRIGGER orphans BEFORE INSERT ON {child} WHEN NOT EXISTS (SELECT 1 FROM {parent} WHERE id = new.parent) \
             BEGIN SELECT RAISE(ABORT, 'no parent'); END"
        ));
    } else {
        subject.run(&format!("ALTER TABLE {parent} ADD UNIQUE (id)"));
        subject.run(&format!("ALTER TABLE {child} ADD FOREIGN KEY (parent) REFERENCES {parent} (id)"));
    }
}

pub(crate) fn parents_come_before_their_children(subject: &dyn Subject) {
    let mut world = World::new();
    let child = world.stream("child", &["id"], Some(CHILD));
    let parent = world.stream("parent", &["id"], Some(PARENT));
    let mut family = Family { world, child, parent };
    family.grow(1);
    let mut destination = subject.open(Settings::new("family"));
    assert_eq!(family.deliver(&mut *destination, &[]), 0);
    let [children, parents] = ["child", "parent"].map(|name| table_of(subject, "family", name));
    refer(subject, &children, &parents);
    (2..=7).for_each(|id| family.grow(id));
    assert_eq!(family.deliver(&mut *destination, &["parent", "child"]), 0);
    assert_eq!((subject.count(&children), subject.count(&parents)), (7, 7));
    // Without an order each of them is refused: its parent is not there yet.
    family.grow(8);
    assert_eq!(family.deliver(&mut *destination, &[]), 1);
}
