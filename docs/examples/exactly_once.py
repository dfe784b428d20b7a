"""Keeps the canonical transactions in SQLite, each once whatever is killed when: rows and position are one transaction of the
database, and the position is taken from there. BROKER REGISTRY FILE [TOPIC] as arguments; ends when nothing came for five seconds."""
import sqlite3, sys
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

broker, registry, file, topic = (sys.argv[1:] + ["headwater.enriched.transactions"])[:4]
db = sqlite3.connect(file)
db.executescript("""CREATE TABLE IF NOT EXISTS transactions (network, height, position, hash, sender, value, status, sequence,
                        PRIMARY KEY (network, height, position));
                    CREATE TABLE IF NOT EXISTS positions (partition PRIMARY KEY, next);""")
decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
consumer = Consumer({"bootstrap.servers": broker, "group.id": "unused", "isolation.level": "read_committed",
                     "auto.offset.reset": "error", "enable.auto.commit": False})
held = dict(db.execute("SELECT partition, next FROM positions"))
partitions = consumer.list_topics(topic).topics[topic].partitions
start = lambda p: held.get(p, consumer.get_watermark_offsets(TopicPartition(topic, p))[0])
consumer.assign([TopicPartition(topic, p, start(p)) for p in partitions])
while messages := consumer.consume(1000, 5):
    with db:  # one transaction of the database
        for m in messages:
            tx = decode(m.value(), SerializationContext(topic, MessageField.VALUE))
            if tx["op"] == "revert":  # one record for the block, without payload
                db.execute("DELETE FROM transactions WHERE network = ? AND height = ?", (tx["network"], tx["height"]))
            elif tx["op"] == "apply" and tx["hash"] is not None:  # without a hash: unreadable, see dead.letters
                db.execute("INSERT INTO transactions VALUES (?,?,?,?,?,?,?,?)",
                           (tx["network"], tx["height"], tx["transaction_index"], tx["hash"], tx["from_address"],
                            tx["value"], tx["status"], tx["sequence"]))
            db.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", (m.partition(), m.offset() + 1))
print(db.execute("SELECT network, count(*), max(height), max(sequence) FROM transactions GROUP BY network").fetchall())
