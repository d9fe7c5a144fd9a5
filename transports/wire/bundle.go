package wire

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/binary"
)

// BundleName returns the name of a bundle: it stands for what is in it, in that order.
func BundleName(parts []Digest) Digest {
	h := sha256.New()
	for _, d := range parts {
		h.Write(d[:])
	}
	return Digest(h.Sum(nil))
}

// Bundle returns the body of a BLOB with several contents ([EncodingBundle]), and the size that it inflates to.
func Bundle(contents [][]byte) (body []byte, size int) {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	for _, c := range contents {
		// Nothing fails: it is a buffer that is written to.
		_ = binary.Write(z, binary.BigEndian, uint32(len(c)))
		_, _ = z.Write(c)
		size += 4 + len(c)
	}
	_ = z.Close()
	return out.Bytes(), size
}
