"""Sidecars as programs write them, and as they might be written by hand, for tests that edit them."""

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC, LR, DIGIKAM = (
    "http://purl.org/dc/elements/1.1/",
    "http://ns.adobe.com/lightroom/1.0/",
    "http://www.digikam.org/ns/1.0/",
)

DARKTABLE = b"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:exif="http://ns.adobe.com/exif/1.0/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
    xmlns:darktable="http://darktable.sf.net/"
   exif:DateTimeOriginal="2023:05:01 12:00:00.000"
   xmp:Rating="1"
   xmpMM:DerivedFrom="IMG_0001.CR2"
   darktable:xmp_version="5"
   darktable:auto_presets_applied="1"
   darktable:iop_order_version="4"
   darktable:history_end="2">
   <darktable:masks_history>
    <rdf:Seq/>
   </darktable:masks_history>
   <darktable:history>
    <rdf:Seq>
     <rdf:li
      darktable:num="0"
      darktable:operation="rawprepare"
      darktable:enabled="1"
      darktable:params="00000000000000000000000000000000"
      darktable:multi_name=""/>
    </rdf:Seq>
   </darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""

DIGIKAM_STYLE = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:digiKam="http://www.digikam.org/ns/1.0/"
    xmlns:MicrosoftPhoto="http://ns.microsoft.com/photo/1.0/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
   digiKam:PickLabel="0">
   <digiKam:TagsList>
    <rdf:Seq>
     <rdf:li>Places/Lake</rdf:li>
     <rdf:li>cat</rdf:li>
    </rdf:Seq>
   </digiKam:TagsList>
   <MicrosoftPhoto:LastKeywordXMP>
    <rdf:Bag>
     <rdf:li>Places/Lake</rdf:li>
    </rdf:Bag>
   </MicrosoftPhoto:LastKeywordXMP>
   <lr:hierarchicalSubject>
    <rdf:Bag>
     <rdf:li>Places|Lake</rdf:li>
    </rdf:Bag>
   </lr:hierarchicalSubject>
   <dc:subject>
    <rdf:Bag>
     <rdf:li>Lake</rdf:li>
     <rdf:li>cat</rdf:li>
    </rdf:Bag>
   </dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""

# Adobe's serialisation for files, with the padding that lets programs edit a packet in its place.
LIGHTROOM = (
    b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0-c000 1.000000, 0000/00/00-00:00:00        ">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="uuid:faf5bdd5-ba3d-11da-ad31-d33d75182f1b"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
   crs:Exposure2012="+0.50"
   crs:HasSettings="True">
   <dc:subject>
    <rdf:Bag>
     <rdf:li>Lake</rdf:li>
    </rdf:Bag>
   </dc:subject>
   <crs:ToneCurvePV2012>
    <rdf:Seq>
     <rdf:li>0, 0</rdf:li>
     <rdf:li>255, 255</rdf:li>
    </rdf:Seq>
   </crs:ToneCurvePV2012>
   <crs:Look rdf:parseType="Resource">
    <crs:Name>Adobe Color</crs:Name>
   </crs:Look>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
    + (b" " * 99 + b"\n") * 3
    + b'<?xpacket end="w"?>'
)

EXIFTOOL = b"""<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='Image::ExifTool 12.57'>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>

 <rdf:Description rdf:about=''
  xmlns:dc='http://purl.org/dc/elements/1.1/'>
  <dc:subject>
   <rdf:Bag>
    <rdf:li>one &amp; only</rdf:li>
   </rdf:Bag>
  </dc:subject>
 </rdf:Description>

 <rdf:Description rdf:about=''
  xmlns:xmp='http://ns.adobe.com/xap/1.0/'>
  <xmp:Rating>4</xmp:Rating>
 </rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end='w'?>"""

CAPTURE_ONE = b"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 5.5.0">
   <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description rdf:about=""
            xmlns:xmp="http://ns.adobe.com/xap/1.0/"
            xmlns:dc="http://purl.org/dc/elements/1.1/"
            xmlns:lightroom="http://ns.adobe.com/lightroom/1.0/">
         <xmp:Rating>3</xmp:Rating>
         <xmp:Label>Red</xmp:Label>
         <dc:subject>
            <rdf:Bag>
               <rdf:li>Lake</rdf:li>
            </rdf:Bag>
         </dc:subject>
         <lightroom:hierarchicalSubject>
            <rdf:Bag>
               <rdf:li>Places|Lake</rdf:li>
            </rdf:Bag>
         </lightroom:hierarchicalSubject>
      </rdf:Description>
   </rdf:RDF>
</x:xmpmeta>"""


def described(inner: str, *, declarations: str = "", before: str = "", after: str = "") -> bytes:
    """A sidecar with this in its one description."""
    return (
        f'{before}<x:xmpmeta xmlns:x="adobe:ns:meta/">\n <rdf:RDF xmlns:rdf="{RDF}">\n'
        f'  <rdf:Description rdf:about="" xmlns:dc="{DC}"{declarations}>\n{inner}\n  </rdf:Description>\n'
        f" </rdf:RDF>\n</x:xmpmeta>{after}"
    ).encode()


def written(*lines: str) -> bytes:
    """A sidecar of these lines within RDF."""
    inner = "\n".join(lines)
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">{inner}</rdf:RDF></x:xmpmeta>\n'.encode()


_TABS = DIGIKAM_STYLE.replace(b"\n ", b"\n\t")
STYLES = {
    "darktable": DARKTABLE,
    "digiKam": DIGIKAM_STYLE,
    "Lightroom": LIGHTROOM,
    "ExifTool": EXIFTOOL,
    "Capture One": CAPTURE_ONE,
    "CRLF": LIGHTROOM.replace(b"\n", b"\r\n"),
    "lone CR": CAPTURE_ONE.replace(b"\n", b"\r"),
    "tabs": _TABS,
    "a byte order mark": b"\xef\xbb\xbf" + CAPTURE_ONE,
    "all in one line": b"".join(line.strip() + b" " * (not line.endswith(b">")) for line in EXIFTOOL.split(b"\n")),
    "RDF without a wrapper": f"<rdf:RDF xmlns:rdf='{RDF}'><rdf:Description rdf:about=''/></rdf:RDF>".encode(),
    "another prefix for RDF": DIGIKAM_STYLE.replace(b"rdf:", b"r:").replace(b"xmlns:rdf", b"xmlns:r"),
    "other prefixes": DIGIKAM_STYLE.replace(b"dc:", b"DublinCore:")
    .replace(b"lr:", b"x1:")
    .replace(b"xmlns:dc", b"xmlns:DublinCore")
    .replace(b"xmlns:lr", b"xmlns:x1"),
    "RDF as the default namespace": (
        f'<RDF xmlns="{RDF}" xmlns:r="{RDF}">\n <Description r:about="" xmlns:dc="{DC}">\n'
        "  <dc:subject><Bag><li>Lake</li></Bag></dc:subject>\n </Description>\n</RDF>"
    ).encode(),
    "RDF as the default namespace, and a property to fill": (
        f'<RDF xmlns="{RDF}" xmlns:r="{RDF}">\n <Description r:about="" xmlns:dc="{DC}">\n'
        "  <dc:subject/>\n </Description>\n</RDF>"
    ).encode(),
    "DC as the default namespace": described(
        f'   <subject xmlns="{DC}"><rdf:Bag><rdf:li>Lake</rdf:li></rdf:Bag></subject>'
    ),
    "declared on the root": DIGIKAM_STYLE.replace(b'\n    xmlns:dc="http://purl.org/dc/elements/1.1/"', b"").replace(
        b"<x:xmpmeta", b'<x:xmpmeta xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ),
    "our prefix for another namespace": described(
        "   <vithybrid:x>1</vithybrid:x>", declarations=' xmlns:vithybrid="urn:other/"'
    ),
    "an old about": written(
        f'<rdf:Description about="uuid:1" xmlns:dc="{DC}"><dc:format>a</dc:format></rdf:Description>'
    ),
    "an about with quotes": written("<rdf:Description rdf:about='uuid:\"&#38;1'/>"),
    "an empty RDF": f'<x:xmpmeta xmlns:x="adobe:ns:meta/">\n <rdf:RDF xmlns:rdf="{RDF}" />\n</x:xmpmeta>'.encode(),
    "an empty RDF, with a line break in its tag": (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/">\r\n <rdf:RDF xmlns:rdf="{RDF}"\r\n />\r\n</x:xmpmeta>'
    ).encode(),
    "RDF with white space": written("\n  "),
    "RDF with a comment": written("<!-- nothing yet -->"),
    "an empty description": written('<rdf:Description rdf:about=""/>'),
    "several descriptions": written(
        *(f'<rdf:Description rdf:about="" xmlns:a="urn:{n}/" a:b="{n}"/>' for n in range(3))
    ),
    "an empty Bag": described("   <dc:subject><rdf:Bag/></dc:subject>"),
    "an empty Bag in lines of its own": described("   <dc:subject>\n    <rdf:Bag />\n   </dc:subject>"),
    "a Bag without items": described("   <dc:subject>\n    <rdf:Bag>\n    </rdf:Bag>\n   </dc:subject>"),
    "a Bag with a comment": described("   <dc:subject><rdf:Bag><!-- none --></rdf:Bag></dc:subject>"),
    "an empty property": described("   <dc:subject/>"),
    "an empty property with white space": described("   <dc:subject  \n />"),
    "a property without a value": described("   <dc:subject>\n   </dc:subject>"),
    "a Seq": described("   <dc:subject><rdf:Seq><rdf:li>Lake</rdf:li></rdf:Seq></dc:subject>"),
    "an Alt": described('   <dc:subject><rdf:Alt><rdf:li xml:lang="x-default">Lake</rdf:li></rdf:Alt></dc:subject>'),
    "items with comments": described(
        "   <dc:subject><rdf:Bag><!-- a --><rdf:li>Lake</rdf:li><!-- b -->\n</rdf:Bag></dc:subject>"
    ),
    "items with qualifiers": described(
        '   <dc:subject><rdf:Bag><rdf:li rdf:parseType="Resource"><rdf:value>Lake</rdf:value>'
        "<dc:type>x</dc:type></rdf:li></rdf:Bag></dc:subject>"
    ),
    "an empty item": described("   <dc:subject><rdf:Bag><rdf:li/></rdf:Bag></dc:subject>"),
    "characters of all kinds": described(
        "   <dc:subject><rdf:Bag><rdf:li>S\xe9e &#x1F431; <![CDATA[<&>]]></rdf:li></rdf:Bag></dc:subject>"
    ),
    "a processing instruction within": described("   <?program do it?>\n   <dc:format>image/jpeg</dc:format>"),
    "greater-than signs in attributes": described("   <dc:format a='>' b=\"/>\">x</dc:format>"),
    "white space in tags, and text like attributes": described(
        "   <dc:format >a='b' c=\"d\"/></dc:format >\n   <dc:subject\n><rdf:Bag >"
        '<rdf:li >x="y"></rdf:li\t></rdf:Bag ></dc:subject >'
    ),
    "deep structures": described(
        "   <dc:relation>" + "<rdf:Bag><rdf:li>" * 50 + "x" + "</rdf:li></rdf:Bag>" * 50 + "</dc:relation>"
    ),
    "a property of XMP's in a structure": described(
        '   <dc:relation rdf:parseType="Resource"><dc:subject><rdf:Bag><rdf:li>cat</rdf:li></rdf:Bag></dc:subject>'
        "</dc:relation>"
    ),
}
