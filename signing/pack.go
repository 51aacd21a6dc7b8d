package signing

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"
)

// chunkSize is the most that one record holds of a session's items.
const chunkSize = 256 << 10

// maxUnpacked bounds what a session's records may unpack to: more than any request can hold.
const maxUnpacked = 4 << 20

// smallest is from how many bytes on compression is worth its time. A payload or two are kept as they are, with a
// checksum.
const smallest = 1 << 10

// asTheyAre begins what is not compressed. A zstd frame begins with its magic number's 0x28.
const asTheyAre = 0

// packer turns items into what is kept of them and back. The payloads of one request are nearly the same text, so
// together they compress to a fraction.
type packer struct {
	zip   *zstd.Encoder
	unzip *zstd.Decoder
	sum   *crc32.Table
}

func newPacker() (packer, error) {
	// What payloads have in common is found without entropy coding, which would take as long again.
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20),
		zstd.WithLowerEncoderMem(true), zstd.WithNoEntropyCompression(true))
	if err != nil {
		return packer{}, err
	}
	unzip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxUnpacked),
		zstd.WithDecoderLowmem(true))
	return packer{zip: zip, unzip: unzip, sum: crc32.MakeTable(crc32.Castagnoli)}, err
}

var errPacked = errors.New("the items kept of a session are damaged")

// pack writes items one after the other, each with the length of its id and of its payload, compresses the
// whole, and cuts it into chunks.
func (p packer) pack(items []item) [][]byte {
	size := 0
	for _, it := range items {
		size += len(it.ID) + len(it.Payload) + 2*binary.MaxVarintLen32
	}
	plain := make([]byte, 0, size)
	for _, it := range items {
		plain = binary.AppendUvarint(plain, uint64(len(it.ID)))
		plain = append(plain, it.ID...)
		plain = binary.AppendUvarint(plain, uint64(len(it.Payload)))
		plain = append(plain, it.Payload...)
	}
	if len(plain) < smallest {
		return [][]byte{append(binary.BigEndian.AppendUint32([]byte{asTheyAre}, crc32.Checksum(plain, p.sum)), plain...)}
	}
	packed := p.zip.EncodeAll(plain, make([]byte, 0, len(plain)/4+512))
	var chunks [][]byte
	for len(packed) > chunkSize {
		chunks = append(chunks, packed[:chunkSize])
		packed = packed[chunkSize:]
	}
	return append(chunks, packed)
}

func (p packer) unpack(chunks [][]byte) ([]item, error) {
	plain, err := p.decompress(bytes.Join(chunks, nil))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPacked, err)
	}
	var items []item
	for len(plain) > 0 {
		var id, payload []byte
		if id, plain, err = cutField(plain); err != nil {
			return nil, err
		}
		if payload, plain, err = cutField(plain); err != nil {
			return nil, err
		}
		items = append(items, item{ID: string(id), Payload: payload})
	}
	return items, nil
}

func (p packer) decompress(packed []byte) ([]byte, error) {
	const head = 5
	if len(packed) < head || packed[0] != asTheyAre {
		return p.unzip.DecodeAll(packed, nil)
	}
	plain := packed[head:]
	if crc32.Checksum(plain, p.sum) != binary.BigEndian.Uint32(packed[1:head]) {
		return nil, errors.New("the checksum is another")
	}
	return plain, nil
}

func cutField(plain []byte) (field, rest []byte, err error) {
	length, n := binary.Uvarint(plain)
	if n <= 0 || length > maxUnpacked || n+int(length) > len(plain) {
		return nil, nil, errPacked
	}
	end := n + int(length)
	return plain[n:end:end], plain[end:], nil
}
