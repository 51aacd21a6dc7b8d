package signing

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// chunkSize is the most that one record holds of a session's items.
const chunkSize = 256 << 10

// maxUnpacked bounds what a session's records may unpack to: more than any request can hold.
const maxUnpacked = 4 << 20

// packer turns items into what is kept of them and back. The payloads of one request are nearly the same text, so
// together they compress to a fraction.
type packer struct {
	zip   *zstd.Encoder
	unzip *zstd.Decoder
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
	return packer{zip: zip, unzip: unzip}, err
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
	packed := p.zip.EncodeAll(plain, make([]byte, 0, len(plain)/4+512))
	var chunks [][]byte
	for len(packed) > chunkSize {
		chunks = append(chunks, packed[:chunkSize])
		packed = packed[chunkSize:]
	}
	return append(chunks, packed)
}

func (p packer) unpack(chunks [][]byte) ([]item, error) {
	plain, err := p.unzip.DecodeAll(bytes.Join(chunks, nil), nil)
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

func cutField(plain []byte) (field, rest []byte, err error) {
	length, n := binary.Uvarint(plain)
	if n <= 0 || length > maxUnpacked || n+int(length) > len(plain) {
		return nil, nil, errPacked
	}
	end := n + int(length)
	return plain[n:end:end], plain[end:], nil
}
