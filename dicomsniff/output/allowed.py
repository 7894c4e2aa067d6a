"""What may stay in an output that hides people: attributes, and the values they may have.

Two locks on everything. An attribute has to be listed here, by group or by name, and none of the
Basic Application Level Confidentiality Profile (PS3.15 table E.1-1) is. And its value has to be
what such an attribute holds: a number, a tag, a defined term of the standard, a code of a public
scheme, the name of a manufacturer. A name typed into Modality is still a name.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Final

from dicomsniff.dicom import tables
from dicomsniff.dicom.elements import entry

RULE: Final = "allow-list-1"
"""Name of this rule, so that a transcript tells what it was made with."""

_REMEMBERED: Final = 8192
"""Verdicts remembered: transcripts ask the same of the same attributes and values."""
_VALUE_LIMIT: Final = 64
"""Characters of the longest value that may stay, the most that LO allows."""

GROUPS: Final = frozenset(
    [
        0x0014,  # device and part inspection
        0x0018,  # acquisition
        0x0028,  # image presentation
        0x0048,  # slide coordinates and optics
        0x0052,  # intravascular OCT
        0x0054,  # nuclear medicine, PET
        0x2000,  # film session
        0x2010,  # film box
        0x2020,  # image box
        0x2040,  # overlay box
        0x2050,  # presentation LUT
        0x2100,  # print job
        0x2110,  # printer
        0x3002,  # RT image
        0x3004,  # RT dose
        0x300A,  # RT plan
        0x5400,  # waveform
    ]
)
"""Groups about equipment and protocol: their numbers, tags and defined terms may stay."""

_PLAIN: Final = frozenset(("AT", "CS", "DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"))
"""VRs of the attributes of those groups that may stay: no free text, no names, no dates."""

_NAMED: Final = """
SpecificCharacterSet ImageType QueryRetrieveLevel Modality ModalitiesInStudy
ConversionType PresentationIntentType InstanceAvailability
CodeValue LongCodeValue CodingSchemeDesignator CodingSchemeVersion CodeMeaning
Manufacturer ManufacturerModelName SoftwareVersions ManufacturerModelVersion
FailureReason FailureAttributes WarningReason StageNumber NumberOfStages ViewNumber
NumberOfEventTimers NumberOfViewsInStage EventTimeOffset LossyImageCompression
AnatomicalOrientationType ReferencedFrameNumber SimpleFrameList CalculatedFrameList
ContextIdentifier ContextGroupExtensionFlag QueryRetrieveView
AcquisitionNumber SeriesNumber InstanceNumber ItemNumber TemporalPositionIdentifier
NumberOfTemporalPositions TemporalResolution ImagePosition ImagePositionPatient
ImageOrientation ImageOrientationPatient SliceLocation Laterality ImageLaterality FrameLaterality
PatientOrientation ImagesInAcquisition NumberOfFrames NumberOfPatientRelatedStudies
NumberOfPatientRelatedSeries NumberOfPatientRelatedInstances NumberOfStudyRelatedSeries
NumberOfStudyRelatedInstances NumberOfSeriesRelatedInstances StackID InStackPositionNumber
FrameAcquisitionNumber DimensionIndexPointer FunctionalGroupPointer DimensionIndexValues
ConcatenationFrameOffsetNumber InConcatenationNumber InConcatenationTotalNumber
DimensionOrganizationType VolumetricProperties VolumeBasedCalculationTechnique
StudyStatusID StudyPriorityID RequestedProcedurePriority ReportingPriority
ScheduledProcedureStepStatus ScheduledProcedureStepPriority PerformedProcedureStepStatus
ProcedureStepState InputReadinessState
TotalNumberOfExposures EntranceDose EntranceDoseInmGy ExposedArea
DistanceSourceToEntrance DistanceSourceToSupport TotalTimeOfFluoroscopy XRayOutput HalfValueLayer
RadiationMode ValueType RelationshipType ContinuityOfContent CompletionFlag VerificationFlag
PreliminaryFlag ConfidentialityCode ObservationNumber
TemplateIdentifier TransactionStatus
NumberOfFilms NumberOfWaveformChannels NumberOfWaveformSamples
SamplingFrequency WaveformOriginality WaveformBitsAllocated WaveformSampleInterpretation
ChannelSampleSkew ChannelSensitivity ChannelSensitivityCorrectionFactor ChannelBaseline
WaveformBitsStored FilterLowFrequency FilterHighFrequency ChannelNumber
RealWorldValueSlope RealWorldValueIntercept RealWorldValueFirstValueMapped
RealWorldValueLastValueMapped QualityControlImage BurnedInAnnotation
StorageMediaFileSetID PresentationLUTShape
PatientIdentityRemoved LongitudinalTemporalInformationModified RecognizableVisualFeatures
SegmentationType SegmentNumber SegmentAlgorithmType SegmentationFractionalType
MaximumFractionalValue SurfaceCount
"""
"""Attributes of other groups (patient, study and procedure ones among them are few on purpose),
by keyword. A name that the dictionary in use does not have lets nothing through."""

_STRICT: Final = """
InstitutionCodeSequence ReferringPhysicianIdentificationSequence
ConsultingPhysicianIdentificationSequence InstitutionalDepartmentTypeCodeSequence
PhysiciansOfRecordIdentificationSequence PerformingPhysicianIdentificationSequence
PhysiciansReadingStudyIdentificationSequence OperatorIdentificationSequence
AdmittingDiagnosesCodeSequence PatientInsurancePlanCodeSequence
PatientPrimaryLanguageCodeSequence PatientPrimaryLanguageModifierCodeSequence
OtherPatientIDsSequence OtherClinicalTrialProtocolIDsSequence EthnicGroupCodeSequence
ReferencedPatientPhotoSequence
PatientSpeciesCodeSequence PatientBreedCodeSequence PatientSizeCodeSequence
UDISequence TransducerIdentificationSequence ReasonForVisitCodeSequence
FlowIdentifierSequence ReferencedPatientAliasSequence IssuerOfAdmissionIDSequence
IssuerOfServiceEpisodeIDSequence ScheduledPerformingPhysicianIdentificationSequence
IssuerOfTheContainerIdentifierSequence AcquisitionContextSequence
IssuerOfTheSpecimenIdentifierSequence SpecimenPreparationSequence
ReasonForRequestedProcedureCodeSequence IntendedRecipientsOfResultsIdentificationSequence
PersonIdentificationCodeSequence ScheduledStationNameCodeSequence
ScheduledStationGeographicLocationCodeSequence PerformedStationNameCodeSequence
PerformedStationGeographicLocationCodeSequence ScheduledHumanPerformersSequence
ActualHumanPerformersSequence VerifyingObserverSequence AuthorObserverSequence
ParticipantSequence CustodialOrganizationSequence VerifyingObserverIdentificationCodeSequence
VerbalSourceIdentifierCodeSequenceTrial ContentSequence WaveformAnnotationSequence
GraphicAnnotationSequence ContentCreatorIdentificationCodeSequence
ReferencedDigitalSignatureSequence ReferencedSOPInstanceMACSequence ModifiedAttributesSequence
NonconformingModifiedAttributesSequence OriginalAttributesSequence ROICreatorSequence
ROIInterpreterSequence PrescriptionNotesSequence InterpretationApproverSequence
ResultsDistributionListSequence DigitalSignaturesSequence MACParametersSequence
GenderIdentitySequence GenderIdentityCodeSequence PersonNamesToUseSequence
SexParametersForClinicalUseCategorySequence ThirdPersonPronounsSequence PronounCodeSequence
ReferencedStudySequence ReferencedPerformedProcedureStepSequence ReferencedPatientSequence
ReferencedImageSequence SourceImageSequence RequestAttributesSequence IconImageSequence
"""
"""Sequences that PS3.15 removes or empties: items and tags are shown, no value inside stays."""

CLASS_UIDS: Final = frozenset(
    [
        0x00020002,
        0x00020010,
        0x0008001A,
        0x0008001B,
        0x00080016,
        0x0008005A,
        0x00080062,
        0x00081150,
        0x00083002,
        0x0008115A,
        0x04000510,
    ]
)
"""Attributes that hold the UID of a class or a transfer syntax, never of an instance. One that
was negotiated stays, private ones included."""

_TERMS: Final = """
YES NO Y N NONE UNKNOWN OTHER ON OFF TRUE FALSE ENABLED DISABLED NORMAL ABNORMAL MIXED AUTO MANUAL
PATIENT STUDY SERIES IMAGE FRAME INSTANCE WORKLIST RESULTS VISIT INTERPRETATION
AR ANN ASMT AU BDUS BI BMD CD CF CP CR CS CT CFM CTPROTOCOL DD DF DG DM DMS DOC DS DX EC ECG EEG
EMG EOG EPS ES FA FID FS GM HC HD IO IOL IVOCT IVUS KER KO LEN LP LS M3D MA MG MR MS NM NA OAM OCT
OP OPM OPR OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT
RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF ST STAIN TG TEXTUREMAP US VA VF XA
XAPROTOCOL XC AUDIO ARCH VL
ORIGINAL DERIVED PRIMARY SECONDARY AXIAL LOCALIZER CORONAL SAGITTAL OBLIQUE HELICAL REFORMATTED
PROJECTION MPR MIP MINIP VOLUME RESAMPLED VOLUMETRIC AVERAGE SUBTRACTION DIXON WATER FAT IN_PHASE
OUT_PHASE PHASE MAGNITUDE REAL IMAGINARY DIFFUSION ADC TRACE PERFUSION ANGIO CARDIAC CINE DYNAMIC
STATIC GATED TOMO WHOLE_BODY WHOLEBODY RECON BIPLANE SINGLE SCREEN CAPTURE THUMBNAIL LABEL OVERVIEW
QUANTITY ND NORM DIS2D DIS3D M P R I SE IR GR EP RM SK SP MTC SS TRSS MP OSP PFP PFF 2D 3D
MONOCHROME MONOCHROME1 MONOCHROME2 COLOR RGB YBR_FULL YBR_FULL_422 YBR_PARTIAL_422 YBR_PARTIAL_420
YBR_ICT YBR_RCT HSV ARGB CMYK PALETTE XYB GRAYSCALE COLOR_RANGE RAINBOW
IDENTITY INVERSE LIN LINEAR LINEAR_EXACT SIGMOID LOG HU OD DISP FULL PARTIAL EQUAL
DRIVEN SYNTHETIC FOR PRESENTATION PROCESSING WSD DV DI DF SD SI ISO_9660
ONLINE NEARLINE OFFLINE UNAVAILABLE COMPRESSED LOSSY LOSSLESS ISO_10918_1 ISO_14495_1 ISO_15444_1
ISO_13818_2 ISO_14496_10 ISO_18181_1
CREATED STARTED SCHEDULED ARRIVED READY DEPARTED IN_PROGRESS PROGRESS IN COMPLETED DISCONTINUED
CANCELED CANCELLED SUSPENDED INCOMPLETE UNREADY VERIFIED UNVERIFIED COMPLETE READ
STAT HIGH MEDIUM LOW ROUTINE URGENT ASAP
L R U B A H F AP PA LL RL RLO LLO RAO LAO ML MLO CC LM LMO FB SIO ISO XCC XCCL XCCM AT CV TAN
HFS HFP HFDR HFDL FFS FFP FFDR FFDL LFP LFS RFP RFS AFDR AFDL PFDR PFDL RECUMBENT PRONE SUPINE
ERECT BIPED QUADRUPED UPRIGHT SITTING STANDING DECUBITUS LEFT RIGHT BOTH UNPAIRED CENTER
HEAD NECK CHEST ABDOMEN PELVIS SPINE CSPINE TSPINE LSPINE SSPINE CTSPINE TLSPINE LSSPINE COCCYX
SKULL BRAIN ORBIT SINUS FACE NOSE EAR EYE JAW MANDIBLE MAXILLA TOOTH TONGUE THROAT LARYNX PHARYNX
THYROID BREAST LUNG HEART AORTA STERNUM RIB RIBS CLAVICLE SCAPULA SHOULDER ARM ELBOW FOREARM
WRIST HAND FINGER THUMB HIP THIGH FEMUR KNEE LEG TIBIA FIBULA ANKLE FOOT TOE CALCANEUS PATELLA
HUMERUS RADIUS ULNA EXTREMITY LIVER KIDNEY SPLEEN PANCREAS GALLBLADDER STOMACH COLON RECTUM BLADDER
PROSTATE UTERUS OVARY TESTIS SCROTUM PENIS PLACENTA FETUS WHOLEBODY CAROTID HEADNECK
CHESTABDOMEN ABDOMENPELVIS CHESTABDPELVIS NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV IAC TMJ
ZYGOMA BRONCHUS ESOPHAGUS DUODENUM JEJUNUM ILEUM ILIUM SACRUM SELLA
HELIX STEP AND SHOOT SPIRAL CONSTANT_ANGLE FREE STATIONARY SEQUENCED STANDARD BONE SOFT DETAIL
EDGE SHARP SMOOTH PORTRAIT LANDSCAPE REPLICATE BILINEAR CUBIC BLACK WHITE PAPER CLEAR BLUE FILM
MAGAZINE PROCESSOR BIN_1 BIN_2 POSITIVE NEGATIVE CROP DECIMATE FAIL REVERSE PORTABLE
PENDING PRINTING DONE FAILURE SUCCESS WARNING SUPPLY 8INX10IN 10INX12IN 10INX14IN 11INX14IN
14INX14IN 14INX17IN 24CMX24CM 24CMX30CM A4 A3 HQ DRAFT
ADVANCED UNTARGETED INTEGRATED AREA LINE POINT PULSED CONTINUOUS SCANNED EXTERNAL INTERNAL
XIPHOID STERNAL_NOTCH ORBITOMEATAL ISOCENTER TABLE GANTRY TUBE SOURCE DETECTOR FIXED VARIABLE
ROTATING TUNGSTEN MOLYBDENUM RHODIUM ALUMINUM COPPER SILVER LEAD WEDGE BUTTERFLY STRIP FLAT
PHOTOMULTIPLIER DIRECT SCINTILLATOR STORAGE PHOSPHOR PLATE
TEXT NUM CODE DATETIME DATE TIME UIDREF PNAME COMPOSITE WAVEFORM SCOORD SCOORD3D TCOORD CONTAINER
TABLE HAS OBS CONTEXT CONTAINS ACQ CONCEPT MOD HAS_PROPERTIES INFERRED FROM SELECTED SEPARATE
CONTINUOUS FINAL PARTIAL ORG UNKNOWN
BINARY FRACTIONAL PROBABILITY OCCUPANCY AUTOMATIC SEMIAUTOMATIC LABELMAP
G ROI OVERLAY GRAPHICS GY RELATIVE ABSOLUTE PHYSICAL EFFECTIVE PLAN BEAM FRACTION CONTROL_POINT
PHOTON ELECTRON NEUTRON PROTON STATIC DYNAMIC TREATMENT SETUP PORTFILM SIMULATOR DRR BLANK FLUENCE
CURATIVE PALLIATIVE MLCX MLCY ASYMX ASYMY X Y Z BIDIRECTIONAL CLOCKWISE CW CCW
EM PHOTOPEAK COUNTS CNTS BQML CPS GML PROPCNTS ATTN DECY RADL START ADMIN DAY TRUES PROMPTS
SB SS UB US UL SL MB AB TRIGGERED RETROSPECTIVE PROSPECTIVE BREATH HOLD RESPIRATORY BELLOWS
T1 T2 T2_STAR PROTON_DENSITY FLAIR FLOW_ENCODED STIR TIME_OF_FLIGHT SPIN GRADIENT ECHO INVERSION
BODY SURFACE ARRAY MULTICOIL HEAD_NECK COIL VOLUMETRIC_COIL
BODY_PART REFERENCE TARGET TILED_FULL TILED_SPARSE 3D_TEMPORAL RECTANGLE ROUND POLYGONAL CIRCULAR
HEXAGONAL SECTOR CURVED PHASED SWEPT RADIAL SEQUENTIAL INTERLEAVED LOCAL GLOBAL MODIFIED REMOVED
DEVICE PRINTER INITIAL SUBSEQUENT NEXT LAST FIRST MASK LIVE TID MOTION
"""
"""Defined terms and enumerated values of the standard, and the single words they are put together
from. Sex, smoking and pregnancy have none here: the attributes are not allowed either."""

_MAKERS: Final = """
AGFA AGFAHEALTHCARE ACUSON ALOKA ANALOGIC BARCO BRUKER CANON CARESTREAM CARL ZEISS CEREBROMIX CURVE
DCMTK DELL DENTSPLY DICOM DIGITAL EIZO ELEKTA ELSCINT ESAOTE EVANS FONAR FOSS FUJI FUJIFILM GE
GENERAL ELECTRIC HEALTHCARE HEALTHINEERS HITACHI HOLOGIC HORIBA IBA IMAGING KODAK EASTMAN KONICA
KONICAMINOLTA LEICA LODOX LUMENIS MALLINCKRODT MEDICAL MEDISON MEDTRONIC MERGE MIM MINDRAY MINOLTA
MITSUBISHI NEUSOFT NIDEK NIKON OFFIS OLYMPUS ORTHANC OSIRIX PENTAX PHILIPS PICKER PIXMEO PLANMECA
PYDICOM PYNETDICOM RAYSEARCH SAMSUNG SECTRA SHIMADZU SIEMENS SIRONA SONOSITE SONY STRYKER
SUPERSONIC SYSTEMS SYNGO TERARECON TOPCON TOSHIBA UIH UNITED VARIAN VATECH VIDAR XORAN ZEISS
ZIEHM TECHNOLOGIES TECHNOLOGY ULTRASOUND MEDICALSYSTEMS NUCLEAR CO LTD INC CORP CORPORATION GMBH
AG BV SA AND OF THE COMPANY
ACHIEVA ADVANTAGE AIRIS AQUILION ARTIS AVANTO AXIOM BIOGRAPH BRIGHTSPEED BRILLIANCE CONNECTOME
DEFINITION DISCOVERY EMOTION ESPREE FORCE FLASH GEMINI GENESIS GO INGENIA INNOVA INTERA ICT
LIGHTSPEED LUNAR LOGIQ MAGNETOM MAMMOMAT MOBILETT MULTIX MX OPTIMA PRISMA PRIMA REVOLUTION
SENOGRAPHE SENSATION SIGNA SKYRA SOLA SOMATOM SONATA SPECTRAL SYMBIA SYMPHONY TRIO VERIO VIDA VISION
VIVID VOLUSON XARIO YSIO PRO EVO ACE ADVANCE APEX EDGE PLUS HD HDX HDXT LX MR CT PET NM XA CR DX US
SCANNER WORKSTATION VIEWER TOOLKIT SERVER VERSION SOFTWARE RELEASE BUILD
"""
"""Words of the names of manufacturers and of their products."""

_VERSION: Final = re.compile(
    r"[A-Za-z]{0,3}\d{1,4}"
    r"(?:(?:[A-Za-z]?[._-][A-Za-z]{0,2}|[A-Za-z]{1,3})\d{1,4}){0,6}[A-Za-z]?"
)
"""A version or model number: no more than three letters and four digits in a row, since a longer
number may be somebody's."""
_LONGEST_NUMBER: Final = 4
"""Digits of a number that stands in a term (SPIRAL 2, LE_1024)."""
_WORDS: Final = re.compile(r"[\s,;:/()&+-]+")
_CHARSET: Final = re.compile(r"ISO[ _.-]*(?:2022[ _.-]*)?IR[ _.-]*\d{1,3}|GB[ -]?18030|GBK|UTF-?8")
_TERM_PARTS: Final = re.compile(r"[ _]")
_WILDCARDS: Final = str.maketrans("", "", "*?")

_EQUIPMENT: Final = frozenset(
    [
        0x00080070,  # Manufacturer
        0x00081090,  # Manufacturer's Model Name
        0x00181020,  # Software Versions
        0x00181210,  # Convolution Kernel
    ]
)
"""Texts about equipment, let through word by word."""

_SCHEMES: Final = """
DCM SRT SCT SNM3 99SDM LN UCUM RADLEX FMA UMLS NCIt MSH RXNORM MDC BARI IBSI NEU I10 I10P I9C CPT4
PUBCHEM_CID ITIS_TSN NDC ISO3166_1 RFC5646 ISO639_2 BI
"""
"""Coding schemes of PS3.16 chapter 8: their designators may stay, codes only where known."""


@cache
def tags(keywords: str) -> frozenset[int]:
    """The tags of keywords, as far as the dictionary in use has them."""
    known = tables.by_keyword()
    return frozenset(known[keyword] for keyword in keywords.split() if keyword in known)


def named() -> frozenset[int]:
    """Attributes that may stay by name."""
    return tags(_NAMED)


def strict() -> frozenset[int]:
    """Sequences inside which nothing stays."""
    return tags(_STRICT)


@cache
def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@lru_cache(maxsize=_REMEMBERED)
def is_allowed(tag: int) -> bool:
    """True for an attribute whose value may stay if it is one that such an attribute holds."""
    if tag & 0x00010000:
        return False
    group = tag >> 16
    if group in GROUPS or 0x6000 <= group <= 0x601E:
        found = entry(tag)
        if found is not None and found.vr.split(" ")[0] in _PLAIN:
            return True
    return tag in named() or tag in _EQUIPMENT


@lru_cache(maxsize=_REMEMBERED)
def is_numeric(tag: int) -> bool:
    """True for an attribute whose values are numbers or tags."""
    found = entry(tag)
    return found is not None and found.vr.split(" ")[0] in _PLAIN - {"CS"}


@lru_cache(maxsize=_REMEMBERED)
def is_strict(tag: int) -> bool:
    """True for a sequence inside which nothing stays: one that PS3.15 removes, a private one, one
    that the dictionary in use does not know."""
    return bool(tag & 0x00010000) or tag in strict() or entry(tag) is None


def is_term(value: str) -> bool:
    """True for a defined term, also one in lower case or put together of several."""
    return len(value) <= _VALUE_LIMIT and _is_term(value)


@lru_cache(maxsize=_REMEMBERED)
def _is_term(value: str) -> bool:
    bare = value.translate(_WILDCARDS).upper()
    known = _words(_TERMS)
    if not bare or bare in known:
        return True
    return all(
        not part or part in known or (part.isdigit() and len(part) <= _LONGEST_NUMBER)
        for part in _TERM_PARTS.split(bare)
    )


def is_charset(value: str) -> bool:
    """True for what names a character set."""
    return not value or _CHARSET.fullmatch(value.upper()) is not None


def is_equipment(tag: int, value: str) -> bool:
    """True for words of manufacturers and products, and version numbers."""
    return tag in _EQUIPMENT and len(value) <= _VALUE_LIMIT and _is_equipment(value)


@lru_cache(maxsize=_REMEMBERED)
def _is_equipment(value: str) -> bool:
    known = _words(_MAKERS)
    terms = _words(_TERMS)
    for word in _WORDS.split(value.translate(_WILDCARDS)):
        bare = word.strip(".'")
        if not bare or bare.upper() in known or bare.upper() in terms:
            continue
        if _VERSION.fullmatch(bare) is None:
            return False
    return True


_RETIRED_SNOMED: Final = frozenset(("SRT", "SNM3", "99SDM"))


@cache
def _codes(scheme: str) -> dict[str, str]:
    """Code to its meaning, of all context groups of PS3.16 that use this coding scheme.

    One scheme at a time: a header names two or three of them, and SNOMED's is long.
    """
    if scheme in _RETIRED_SNOMED:
        snomed = _codes("SCT")
        return {old: snomed.get(new, "") for old, new in tables.retired_snomed().items()}
    return {
        code: meaning
        for variants in tables.concepts().get(scheme, {}).values()
        for code, (meaning, _) in variants.items()
    }


def is_scheme(designator: str) -> bool:
    """True for a coding scheme that PS3.16 names."""
    return designator in _words(_SCHEMES)


def code_meaning(scheme: str, code: str) -> str | None:
    """The standard's meaning of a code, None where no context group of PS3.16 has it."""
    if not is_scheme(scheme):
        return None
    return _codes(scheme).get(code)


_FILE_WORDS: Final = """
capture captures cap pcap pcapng gz json ndjson dump trace traffic dicom dcm sniff dicomsniff test
sample example worklist mwl echo store storage find move get query retrieve qr mpps commit print
commitment refused failed aborted lost released rejected scp scu ct mr us cr dx mg nm pt xa rf rsp
rq no match unknown destination cancelled study series image wrong level gb gbk 18030 undeclared
small large pdu transfer syntaxes implicit explicit deflated context by acceptor requestor
connection association associations two several one user identity tls orthanc dcmtk pynetdicom
stdin tcp port rst fin closed live eth lo any en wlan wl enp wlp ens docker br veth bond ether
loopback nic bridge ethernet wi fi and the of in with without
"""


def is_file_word(word: str) -> bool:
    """True for a word of a file or interface name that says nothing of people."""
    if word.isascii() and (len(word) == 1 or (word.isdigit() and len(word) == 2)):
        return True
    return word.lower() in _words(_FILE_WORDS)
