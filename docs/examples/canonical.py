"""Prints the canonical blocks of every network: what is reverted is taken back. BROKER REGISTRY as arguments."""
import sys
from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

broker, registry = sys.argv[1:3]
topic = "headwater.enriched.blocks"
decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
consumer = Consumer({"bootstrap.servers": broker, "group.id": "canonical", "auto.offset.reset": "earliest",
                     "isolation.level": "read_committed", "enable.auto.commit": False})
consumer.subscribe([topic])
chain = {}  # (network, height) -> block; what stands in it is canonical
while (message := consumer.poll(5)) is not None:
    block = decode(message.value(), SerializationContext(topic, MessageField.VALUE))
    place = block["network"], block["height"]
    if block["op"] == "apply":
        chain[place] = block
    elif block["op"] == "revert":  # undoes the event `reverts_sequence`, newest block first
        undone = chain.pop(place)
        assert undone["sequence"] == block["reverts_sequence"]
for (network, height), block in sorted(chain.items()):
    print(network, height, block["block_hash"], block["tx_count"])
